"""Spark's Python daemon with the application already loaded, so that every worker it forks starts in milliseconds.

Set as ``spark.python.daemon.module``: importing pandas, numba and the calendars takes seconds, and
compiled loops are read once instead of once per worker.
"""

import gc

from pyspark.daemon import manager

from tickloom.stream import operator, sink
from tickloom.stream.job import Spec
from tickloom.stream.machine import Machine

LOADED = (operator, sink)

if __name__ == "__main__":
    Machine(Spec(tickers=("AAPL",), market="XNYS")).warm()
    # Spark's workers collect garbage after every task; what is loaded now need not be looked through each time, which
    # takes 100 ms, nor be copied from the daemon's memory for it
    gc.collect()
    gc.freeze()
    manager()
