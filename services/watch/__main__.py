"""``python -m services.watch``."""

from services.watch.main import main

main()
