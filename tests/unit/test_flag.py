"""A flag that signal handlers may set."""

import os
import signal
import threading

from tickloom.flag import Flag


def test_it_is_waited_for_no_longer_than_asked():
    assert Flag().wait(0.01) is False


def test_another_thread_may_put_it_up():
    flag = Flag()
    threading.Timer(0.05, flag.set).start()
    assert flag.wait(60)
    assert flag.is_set()


def test_a_signal_handler_may_put_it_up():
    flag = Flag()
    before = signal.signal(signal.SIGUSR1, lambda *_: flag.set())
    try:
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        assert flag.wait(60)
    finally:
        signal.signal(signal.SIGUSR1, before)
