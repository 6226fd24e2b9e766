"""A corpus looked at before it is modelled."""
