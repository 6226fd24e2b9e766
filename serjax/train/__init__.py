"""Training: state, step, stack of runs, devices, loop, checkpoints."""
