"""The world every test runs in: eight virtual CPU devices, strict shapes, no silent broadcasting."""

import jax
import matplotlib as mpl

mpl.use("Agg")
jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_debug_key_reuse", True)
