"""``python -m operators.streamjob``: run the operator."""

from operators.streamjob.main import main

main()
