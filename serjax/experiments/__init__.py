"""Commands, and nothing else: `python -m serjax.experiments.NAME`; `python -m serjax` lists them.

Each module has a lab note (question, command, measured result), a `Config` whose fields are the flags, and its call of
`serjax.main.main` or `serjax.command.run_command`. Nothing in `serjax` imports them.
"""
