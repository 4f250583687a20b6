"""A thread's own way into TensorFlow's runtime."""

from tensorflow.python.eager import context, executor


def own():
    """A context in which this thread's operations have an executor of their own.

    Threads share one otherwise, and what one thread started on a machine that died
    then raises in another that has nothing to do with it. TensorFlow's own coordinator
    of parameter servers does so too; there is no public name for it.
    """
    return context.executor_scope(executor.new_executor(enable_async=False))
