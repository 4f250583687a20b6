import threading
import types

from selfsup.hybrid.quota import Quota


def test_takers_together_stop_at_the_limit():
    """Eight threads; the quota counts steps under way, so no step exceeds the limit."""
    counters = types.SimpleNamespace(steps=0)
    quota = Quota(counters, 100)
    lock = threading.Lock()

    def work():
        me = object()
        while not quota.used_up:
            if quota.take(me):
                with lock:
                    counters.steps += 1
                quota.give_back(me)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counters.steps == 100


def test_a_failed_step_is_left_to_another_taker():
    quota = Quota(types.SimpleNamespace(steps=4), 5)
    assert quota.take("failed") and not quota.take("other")
    assert not quota.used_up
    quota.give_back("failed")
    assert quota.take("other")


def test_an_ended_quota_hands_out_no_more_steps():
    counters = types.SimpleNamespace(steps=3)
    quota = Quota(counters, 10)
    assert quota.take("under way")
    quota.end()
    assert quota.used_up and not quota.take("other")
    quota.give_back("under way")
    counters.steps += 1
    quota.end()
    assert quota.used_up and not quota.take("other")
