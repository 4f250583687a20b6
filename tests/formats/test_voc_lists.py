import pytest

from selfsup.formats import voc_lists


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_ids_are_read_in_order_and_once(encoding):
    data = "b\r\n\r\n a \nb\nkäse\n".encode(encoding)
    assert voc_lists.parse_image_ids(data) == ("b", "a", "käse")


def test_labels_of_class_lists_are_dropped():
    data = b"a  1\nb -1\nc  0\na photo\n"
    assert voc_lists.parse_image_ids(data) == ("a", "b", "c", "a photo")


def test_names_that_are_not_utf8_are_kept():
    assert voc_lists.parse_image_ids(b"caf\xe9\n") == ("caf\udce9",)


@pytest.mark.parametrize("data", [b"a\0b\n", b"\xff\xfea"])
def test_files_that_are_not_text_are_refused(data):
    with pytest.raises(ValueError):
        voc_lists.parse_image_ids(data)
