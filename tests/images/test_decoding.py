import numpy as np
import pytest
import skimage.data
import tensorflow as tf

from selfsup.images.decoding import decode_chosen_window, decode_window


@pytest.mark.parametrize(
    "window", [(0, 0, 150, 225), (13, 40, 61, 83), (149, 224, 1, 1)]
)
def test_a_window_equals_that_of_the_whole(everywhere, window):
    photo = skimage.data.chelsea()[::2, ::2][:150, :225]
    top, left, height, width = window
    for encoded in (tf.io.encode_jpeg(photo, quality=95), tf.io.encode_png(photo)):
        whole = tf.io.decode_image(encoded, channels=3).numpy()
        cut = everywhere(lambda e: decode_window(e, lambda h, w: window), encoded)
        expected = whole[top : top + height, left : left + width]
        # Chroma at a window's border is interpolated from pixels in the window only.
        assert np.abs(cut.astype(int) - expected).mean() < 1.0
        assert cut.shape == expected.shape


def test_the_choice_sees_the_size_of_the_whole(everywhere):
    photo = skimage.data.chelsea()[:90, :120]
    for encoded in (tf.io.encode_jpeg(photo), tf.io.encode_png(photo)):
        cut = everywhere(
            lambda e: decode_window(e, lambda h, w: (0, w - h, h // 2, h)), encoded
        )
        assert cut.shape == (45, 90, 3)


def test_gray_photos_get_three_channels():
    encoded = tf.io.encode_jpeg(skimage.data.camera()[:40, :50, None])
    assert decode_window(encoded, lambda h, w: (0, 0, h, w)).shape == (40, 50, 3)


def test_the_results_of_the_choice_are_returned(everywhere):
    photo = skimage.data.chelsea()[:90, :120]

    def choose(height, width):
        return (1, 2, height // 3, width // 4), {"size": tf.stack([height, width])}

    for encoded in (tf.io.encode_jpeg(photo), tf.io.encode_png(photo)):
        cut, chosen = everywhere(lambda e: decode_chosen_window(e, choose), encoded)
        assert cut.shape == (30, 30, 3)
        np.testing.assert_array_equal(chosen["size"], [90, 120])
