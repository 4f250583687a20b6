"""Times compiled training steps on an accelerator whose machine has no TensorFlow.

`python -m tests.benchmarks.accelerator` (TensorFlow) writes the steps as XLA's HLO;
`python -m tests.benchmarks.accelerator.timing` (JAX and NumPy only) times them.
"""
