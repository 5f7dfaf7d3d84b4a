from forbear.critics.splits import split_tasks


def test_tasks_are_split_whatever_their_order():
    tasks = [f"t{i}" for i in range(50)]
    one, other = split_tasks(tasks, share=0.3)
    assert (len(one), len(other)) == (35, 15)
    assert not one & other
    assert split_tasks(tasks[::-1] * 2, share=0.3) == (one, other)
