"""Studies by densities: one vector per clip, one density per emotion, no gradient."""
