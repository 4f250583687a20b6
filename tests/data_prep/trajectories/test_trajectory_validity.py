import numpy as np

from data_prep.trajectories import validity


def straight(step, length=15):
    """Returns a track [1, L + 1, 2] that moves by `step` each frame."""
    return np.arange(length + 1)[None, :, None] * np.float32(step)


def with_step(step, longest):
    """Returns a track [1, 16, 2] with steps of `step` in x, but one of `longest`."""
    track = straight((step, 0.0))
    track[:, 8:, 0] += longest - step
    return track


def test_static_is_under_root_three_in_both_directions():
    # The deviation of 0..15 is 4.61.
    assert validity.is_static(straight((0.3, 0.3)))
    assert validity.is_static(straight((0.37, 0.0)))
    assert not validity.is_static(straight((0.38, 0.0)))
    assert not validity.is_static(straight((0.0, 0.38)))


def test_erratic_is_over_fifty_in_a_direction():
    assert not validity.is_erratic(straight((10.8, 10.8)))
    assert validity.is_erratic(straight((10.9, 0.0)))
    assert validity.is_erratic(straight((0.0, 10.9)))


def test_a_jump_is_long_and_most_of_the_path():
    track = straight((1.0, 0.0))
    jumping = track.copy()
    jumping[:, 8:, 0] += 40
    assert validity.is_erratic(jumping)
    # 22 pixels of a path of 30 are a jump too. 18 of 24, 22 of 35, and four strides of 25
    # are not.
    assert validity.is_erratic(with_step(0.6, 22))
    assert not validity.is_erratic(with_step(0.4, 18))
    assert not validity.is_erratic(with_step(0.9, 22))
    strides = np.zeros([1, 16, 2], np.float32)
    strides[:, 3:, 0] = np.minimum(np.arange(13), 4) * 25
    assert not validity.is_erratic(strides)


def test_valid_tracks_are_neither_static_nor_erratic():
    tracks = np.concatenate(
        [straight((0.1, 0)), straight((2, 1)), straight((20, 0)), straight((0, 1))]
    )
    np.testing.assert_array_equal(validity.is_valid(tracks), [0, 1, 0, 1])


def test_camera_motion_has_no_stabilised_step_of_a_pixel():
    steps = np.zeros([4, 10, 2], np.float32)
    steps[0] = 0.7, -0.7
    steps[1, 4] = 0.0, 1.0
    steps[2, 9] = 0.8, 0.8
    np.testing.assert_array_equal(validity.is_camera_motion(steps), [1, 0, 0, 1])
