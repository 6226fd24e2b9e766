"""From flags to one finished run folder."""
