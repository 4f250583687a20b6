"""A command of a study that trains nothing: it waits for a file, then writes its output.

    python -m tests.support.mock_cell --output=FILE [--until=FILE] [--status=N]

Each start appends a line to FILE.starts. SIGTERM writes FILE.checkpoint and ends the
command with status 0, as a pretraining does.
"""

import argparse
import os
import pathlib
import signal
import sys
import time


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--output", required=True)
    parser.add_argument("--until", default="")
    parser.add_argument("--status", type=int, default=0)
    options = parser.parse_args()

    def stop(number, frame):
        pathlib.Path(f"{options.output}.checkpoint").write_text("stopped")
        sys.exit(0)

    signal.signal(signal.SIGTERM, stop)
    with open(f"{options.output}.starts", "a") as file:
        file.write(f"{os.getpid()}\n")
    while options.until and not os.path.exists(options.until):
        time.sleep(0.02)
    if options.status:
        print("the disk is full")
        sys.exit(options.status)
    pathlib.Path(options.output).write_text("done")


if __name__ == "__main__":
    main()
