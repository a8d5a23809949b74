"""Every loss on several processes: values and gradients of the single process, by gathering and in a ring."""

import os
import socket
from functools import partial

import pytest
import torch
import torch.distributed as dist
from conftest import FAMILY, LABELLED, SUMS

from drocl import losses

ROWS, WIDTH = 5, 4
RINGS = tuple(name for name in SUMS if name != "supervised")  # the others need all rows at once
EXTRA = {
    "one-sided": partial(losses.info_nce, temperature=0.05, symmetric=False),
    "queue": partial(losses.info_nce, temperature=0.3, queue=torch.eye(WIDTH, dtype=torch.float64)),
    "easy negatives reweighted": partial(losses.hard_negative, temperature=0.02, concentration=2.0),
}


def free_port():
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]


def data(world):
    generator = torch.Generator().manual_seed(0)
    make = partial(torch.randn, dtype=torch.float64, generator=generator)
    labels = torch.randint(0, 4, (world * ROWS,), generator=generator)
    temperatures = 0.2 + torch.rand(world * ROWS, dtype=torch.float64, generator=generator)
    return make(world * ROWS, 7), make(world * ROWS, 7), make(7, WIDTH), labels, temperatures


def asked(name, z1, z2, labels, temperatures, **options):
    if name == "a temperature a pair":
        return losses.clip(z1, z2, temperatures, (0.3, 0.7), **options)
    if name in EXTRA:
        return EXTRA[name](z1, z2, **options)
    return FAMILY[name](z1, z2, *((labels,) if name in LABELLED else ()), **options)


NAMES = (*FAMILY, *EXTRA, "a temperature a pair")


def work(rank, world, port, out):
    """What the tests look at, one after the other: a process of its own costs more than all of it."""
    torch.set_num_threads(1)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    dist.init_process_group("gloo", rank=rank, world_size=world)
    for part in (compare, refused, work_done):
        for found in part(rank, world):
            out.put((part.__name__, found))
        dist.barrier()
    dist.destroy_process_group()


def compare(rank, world):
    x1, x2, encoder, labels, temperatures = data(world)
    mine = slice(rank * ROWS, (rank + 1) * ROWS)
    for name in NAMES:
        if rank == 0:
            whole = encoder.clone().requires_grad_()
            value = asked(name, x1 @ whole, x2 @ whole, labels, temperatures)
            value.backward()
        for gather in (True, "ring"):
            if gather == "ring" and name in FAMILY and name not in RINGS:
                continue
            part = encoder.clone().requires_grad_()
            loss = asked(name, x1[mine] @ part, x2[mine] @ part, labels[mine], temperatures[mine], gather=gather)
            loss.backward()
            mean, gradient = loss.detach() / world, part.grad / world  # what DDP does
            dist.all_reduce(mean)
            dist.all_reduce(gradient)
            if rank == 0:
                off = float(abs(mean - value) / abs(value)), float((gradient - whole.grad).norm() / whole.grad.norm())
                yield name, str(gather), *off


def refused(rank, world):
    z = torch.randn(3 + rank, WIDTH, dtype=torch.float64)
    try:
        losses.info_nce(z, z.flip(0), gather=True)
    except ValueError as error:
        yield str(error)
    try:
        losses.dro(torch.randn(3, WIDTH), torch.randn(3, WIDTH), "chi2", radius=0.1, gather="ring")
    except ValueError as error:
        yield str(error)


def work_done(rank, world):
    """Scores that a rank computes in a forward pass: its anchors against all candidates."""
    from drocl.losses import _tiles

    done = []
    plain = _tiles.Pairs.tiles

    def counted(self):
        for tile in plain(self):
            done.append(tile.raw.numel())
            yield tile

    _tiles.Pairs.tiles = counted
    rows = 32
    z = torch.randn(rows, WIDTH)
    for gather in (True, "ring"):
        done.clear()
        with torch.no_grad():
            losses.info_nce(z, z.roll(1, 0), gather=gather, chunk_size=8)
        yield sum(done) / (2 * rows) ** 2
    _tiles.Pairs.tiles = plain


@pytest.fixture(scope="module", params=[2, pytest.param(3, marks=pytest.mark.slow)])
def ranks(request):
    """How many processes there were, and what each part of `work` found in them."""
    world = request.param
    context = torch.multiprocessing.get_context("forkserver")  # which imports once for all of them
    context.set_forkserver_preload(["torch._dynamo", "torch.distributed", "drocl.losses"])
    out = context.SimpleQueue()
    port = free_port()
    running = [context.Process(target=work, args=(rank, world, port, out)) for rank in range(world)]
    for process in running:
        process.start()
    found = {part.__name__: [] for part in (compare, refused, work_done)}

    def take():
        while not out.empty():
            name, one = out.get()
            found[name].append(one)

    for process in running:
        while process.is_alive():
            process.join(0.1)
            take()
    take()
    assert [process.exitcode for process in running] == [0] * world
    return world, found


def test_ranks_together_are_one_process(ranks):
    found = ranks[1]["compare"]
    rings = sum(name not in FAMILY or name in RINGS for name in NAMES)
    assert len(found) == len(NAMES) + rings
    assert not [row for row in found if not (row[2] <= 1e-12 and row[3] <= 1e-12)]


def test_every_rank_hears_of_batches_that_do_not_fit(ranks):
    world, found = ranks
    shapes = [(2 * (3 + rank), WIDTH) for rank in range(world)]
    told = f"gather needs the same shape (B, d) on every rank, got {shapes}"
    assert sum(told in text for text in found["refused"]) == world
    assert sum("needs all ranks' rows at once" in text for text in found["refused"]) == world


def test_no_score_is_computed_twice_in_the_forward_pass(ranks):
    """Own rows: half the square and its diagonal; each other rank's: the whole rectangle, once."""
    world, found = ranks
    assert len(found["work_done"]) == 2 * world
    for share in found["work_done"]:
        assert world - 0.5 <= share <= world - 0.37
