"""What the Python peers share: one JSON request a line on standard input, one JSON answer a line on standard output.

Standard output is kept for answers: whatever a library prints goes to standard error.
"""

import json
import os
import resource
import sys

_answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def answer(value):
    _answers.write(json.dumps(value) + "\n")
    _answers.flush()


def next_request():
    """The next request, or None when the bench has closed the pipe."""
    line = sys.stdin.readline()
    return json.loads(line) if line else None


def serve(measure):
    """Says that the peer is ready, then answers every request with `measure(request)`."""
    answer({"ready": True})
    while (request := next_request()) is not None:
        answer(measure(request))


def peak_memory_bytes():
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
