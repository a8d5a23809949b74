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


def compare(rank, world, port, names, out):
    torch.set_num_threads(1)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    dist.init_process_group("gloo", rank=rank, world_size=world)
    x1, x2, encoder, labels, temperatures = data(world)
    mine = slice(rank * ROWS, (rank + 1) * ROWS)
    for name in names:
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
                out.put((name, str(gather), *off))
    dist.barrier()
    dist.destroy_process_group()


def spawn(work, world, *args):
    context = torch.multiprocessing.get_context("spawn")
    out = context.SimpleQueue()
    port = free_port()
    running = [context.Process(target=work, args=(rank, world, port, *args, out)) for rank in range(world)]
    for process in running:
        process.start()
    found = []
    for process in running:
        while process.is_alive():
            process.join(0.1)
            while not out.empty():
                found.append(out.get())
    while not out.empty():
        found.append(out.get())
    assert [process.exitcode for process in running] == [0] * world
    return found


@pytest.mark.parametrize("world", [2, pytest.param(3, marks=pytest.mark.slow)])
def test_ranks_together_are_one_process(world):
    names = [*FAMILY, *EXTRA, "a temperature a pair"]
    found = spawn(compare, world, names)
    rings = sum(name not in FAMILY or name in RINGS for name in names)
    assert len(found) == len(names) + rings
    assert not [row for row in found if not (row[2] <= 1e-12 and row[3] <= 1e-12)]


def refused(rank, world, port, out):
    torch.set_num_threads(1)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    dist.init_process_group("gloo", rank=rank, world_size=world)
    z = torch.randn(3 + rank, WIDTH, dtype=torch.float64)
    try:
        losses.info_nce(z, z.flip(0), gather=True)
    except ValueError as error:
        out.put(str(error))
    try:
        losses.dro(torch.randn(3, WIDTH), torch.randn(3, WIDTH), "chi2", radius=0.1, gather="ring")
    except ValueError as error:
        out.put(str(error))
    dist.barrier()
    dist.destroy_process_group()


def test_every_rank_hears_of_batches_that_do_not_fit():
    found = spawn(refused, 2)
    assert sum("gather needs the same shape (B, d) on every rank, got [(6, 4), (8, 4)]" in text for text in found) == 2
    assert sum("needs all ranks' rows at once" in text for text in found) == 2


def work_done(rank, world, port, out):
    """Scores that a rank computes in a forward pass: its anchors against all candidates."""
    torch.set_num_threads(1)
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    dist.init_process_group("gloo", rank=rank, world_size=world)
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
        out.put(sum(done) / (2 * rows) ** 2)
    dist.barrier()
    dist.destroy_process_group()


def test_no_score_is_computed_twice_in_the_forward_pass():
    """Own rows: half the square and its diagonal; each other rank's: the whole rectangle, once."""
    for share in spawn(work_done, 3):
        assert 2.5 <= share <= 2.63
