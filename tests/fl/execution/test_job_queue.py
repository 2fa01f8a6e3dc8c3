"""Which job goes next: the largest, of what a process is ready for."""

from fl.execution.job_queue import JobQueue, QueuedJob


def queue_of(*jobs):
    queue = JobQueue()
    for number, (recipe, flop) in enumerate(jobs):
        queue.add(QueuedJob((0, number), recipe, flop, b"order"))
    return queue


def taken(queue, known=(), num_holders=None):
    order = []
    while (job := queue.pop(known, num_holders=num_holders or {})) is not None:
        order.append(job.key[1])
    return order


def test_largest_first_and_of_equal_ones_the_first_that_came():
    queue = queue_of(("a", 1), ("a", 5), ("a", 9), ("a", 7), ("a", 9), ("a", 5))
    queue.drop((0, 3))
    queue.drop((0, 3))
    assert len(queue) == 5
    assert ((0, 3) in queue, (0, 4) in queue) == (False, True)
    assert taken(queue) == [2, 4, 1, 5, 0]
    assert len(queue) == 0


def test_order_of_arrival_holds_among_jobs_that_come_while_others_go():
    queue = queue_of(("a", 0), ("a", 0))
    assert queue.pop((), num_holders={}).key == (0, 0)
    for number in (2, 3):
        queue.add(QueuedJob((0, number), "a", 0, b""))
    assert taken(queue) == [1, 2, 3]


def test_a_process_goes_on_with_what_it_has_made():
    jobs = (("a", 9), ("b", 1), ("b", 2), ("c", 5))
    assert taken(queue_of(*jobs), known=["b"]) == [2, 1, 0, 3]
    assert taken(queue_of(*jobs), known=["b", "c"]) == [3, 2, 1, 0]
    # with nothing of its own, it helps where the fewest do
    assert queue_of(*jobs).pop([], num_holders={"a": 2, "b": 1, "c": 1}).key == (0, 3)
    assert queue_of(*jobs).has_any_of(["d", "b"])
    assert not queue_of(*jobs).has_any_of(["d"])


def test_all_of_one_who_is_gone_go():
    queue = queue_of(("a", 9), ("b", 1))
    queue.add(QueuedJob((1, 0), "a", 2, b""))
    queue.drop_client(0)
    assert not queue.has_any_of(["b"])
    assert queue.pop([], num_holders={}).key == (1, 0)
    assert queue.pop([], num_holders={}) is None
