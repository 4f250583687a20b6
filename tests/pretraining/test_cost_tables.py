"""The memory estimate, on graphs small enough to add up, and against a real process."""

import subprocess
import sys
import textwrap

import pytest
import tensorflow as tf

from selfsup.pretraining import configuration, cost_tables, memory

MEGABYTE = 2**20
SQUARE = tf.TensorSpec([512, 512])  # 1 MiB


def _peak(function, *specs):
    return memory.peak_bytes(tf.function(function).get_concrete_function(*specs).graph)


def test_results_are_kept_until_they_are_read():
    def forward(a):
        first = tf.matmul(a, a)
        second = tf.matmul(first, first)
        return tf.matmul(first, second)

    # The first, the second and the result; the input belongs to the caller.
    assert _peak(forward, SQUARE) == 3 * MEGABYTE


def test_results_that_are_not_read_again_are_freed():
    def forward(a):
        for _ in range(10):
            a = tf.matmul(a, a)
        return a

    assert _peak(forward, SQUARE) == 2 * MEGABYTE


def test_element_wise_results_reuse_the_buffer_of_an_input():
    def forward(a):
        net = tf.matmul(a, a)
        for _ in range(5):
            net = tf.nn.relu(net + 1.0)
        return tf.reshape(net, [-1])

    assert _peak(forward, SQUARE) == pytest.approx(MEGABYTE, rel=1e-3)


def test_training_keeps_activations_for_the_backward_pass():
    weight = tf.Variable(tf.zeros([512, 512]))

    def step(a):
        with tf.GradientTape() as tape:
            net = a
            for _ in range(4):
                net = tf.sigmoid(tf.matmul(net, weight))
            loss = tf.reduce_sum(net)
        return tape.gradient(loss, weight)

    # Four activations, a gradient of activations, and a gradient of the weight for each
    # of its uses, at least two of which exist at the same time.
    assert 6 * MEGABYTE <= _peak(step, SQUARE) <= 10 * MEGABYTE


def test_memory_is_linear_in_the_batch_and_the_largest_batch_fits():
    config = configuration.resolve("tiny", ["colorization"])
    row = cost_tables.count_task(config, "colorization")
    assert row.example_bytes > 0 and row.fixed_bytes > 0
    largest = row.largest_batch(4.0)
    usable = cost_tables.USABLE_SHARE * (4.0 - cost_tables.RESERVED_GIGABYTES) * 1e9
    assert row.replica_bytes(largest) <= usable < row.replica_bytes(largest + 1)
    assert row.largest_batch(1.0) == 0
    table = cost_tables.memory_table([row], [4.0, 8.0])
    assert (
        "largest batch at 4 GB | largest batch at 8 GB" in table
        and f"| {largest} |" in table
    )
    assert "| colorization | 16 | 1 |" in cost_tables.cost_table([row])


_STEP = """
    import resource, sys
    import tensorflow as tf
    from selfsup.pretraining import configuration
    from selfsup.pretraining.network import build_network, example_specs
    from selfsup.pretraining import multiply_adds

    name, batch = sys.argv[1], int(sys.argv[2])
    config = configuration.resolve("small", [name])
    network = build_network(config)
    specs = example_specs(network.tasks[name], batch)
    network.build(name, specs)
    variables = network.trained_variables(name)

    @tf.function
    def step(examples):
        with tf.GradientTape() as tape:
            total, _ = network.objective(name, examples, tf.zeros([2], tf.int32))
        gradients = tape.gradient(total, variables)
        return [each for each in gradients if each is not None]

    examples = {key: tf.zeros(spec.shape, spec.dtype) for key, spec in specs.items()}
    for _ in range(2):
        step(examples)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["colorization", "motion_segmentation"])
def test_a_process_grows_as_estimated(name):
    """Compares two batch sizes, so that the memory of TensorFlow itself cancels.

    The convolutions of a CPU need workspaces too, which the estimate leaves out: the
    measured memory was a fifth more.
    """
    batches, peaks = (4, 8), []
    for batch in batches:
        command = [sys.executable, "-c", textwrap.dedent(_STEP), name, str(batch)]
        output = subprocess.run(command, check=True, capture_output=True, text=True)
        peaks.append(int(output.stdout.split()[-1]))
    measured = (peaks[1] - peaks[0]) / (batches[1] - batches[0])
    config = configuration.resolve("small", [name])
    model = cost_tables.count_task(config, name).example_bytes
    print(f"{name}: measured {measured / 1e6:.0f} MB, model {model / 1e6:.0f} MB each")
    assert 0.95 <= measured / model <= 1.4


def test_the_command_prints_both_tables():
    flags = ["--preset=tiny", "--tasks=colorization", "--gigabytes=4"]
    command = [sys.executable, "-m", "launch.costs", *flags]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "counted: colorization" in done.stdout
    assert "| colorization | 16 | 1 |" in done.stdout
    assert "| largest batch at 4 GB |" in done.stdout
