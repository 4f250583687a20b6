import io

from selfsup.common.progress import ProgressBar


class Clock:
    seconds = 0.0

    def __call__(self):
        return self.seconds


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_plain_lines_now_and_then():
    clock, stream = Clock(), io.StringIO()
    with ProgressBar("photos", 100, done=20, clock=clock, stream=stream) as progress:
        for second, done in [(30, 20), (32, 30), (36, 50), (37, 60), (45, 95)]:
            clock.seconds = second
            progress.update(done)
        clock.seconds = 46
        progress.update(100)
    assert stream.getvalue().splitlines() == [
        # The first work arrives after half a minute: no rate yet.
        "photos: 20/100, 0.0/s, starting",
        "photos: 50/100, 5.0/s, 10 s left",
        "photos: 95/100, 5.0/s, 1 s left",
        "photos: 100/100, 5.0/s, 0 s left",
    ]


def test_bar_on_a_terminal():
    stream = Terminal()
    with ProgressBar("photos", 4, stream=stream) as progress:
        progress.update(4)
    assert "photos" in stream.getvalue() and "4/4" in stream.getvalue()
