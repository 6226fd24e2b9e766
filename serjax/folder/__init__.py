"""The run folder: who may write it, what it holds, how it is read back."""
