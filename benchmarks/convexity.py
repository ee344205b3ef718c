"""Graph convexity: strata.convexity over all pairs against nnconvexity's sampled paths, on CPU.

Both build the graph from the same points and labels. nnconvexity searches 5,000 sampled pairs per
class one by one, on one thread; ours scores every ordered pair exactly. Calls of
both alternate; the ratio is the median of the rounds'. The pairs that it drew are also scored by
ours, to compare the scores. Further rows show where our time goes, also at the shape of ImageNet's
validation images, and how it grows with points, classes and neighbors.
"""

import argparse
import os
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest import mock

import numpy as np
from measuring import peak_mib, write_results

CORES = len(os.sched_getaffinity(0))
IMAGENET = (50_000, 1000)  # points and classes


def make_points(n: int, classes: int, dimensions: int = 768):
    draw = np.random.default_rng(0)
    labels = np.arange(n) % classes
    centres = draw.normal(size=(classes, dimensions)) * 0.12
    return (centres[labels] + draw.normal(size=(n, dimensions))).astype(np.float32), labels


@contextmanager
def granted(threads: int) -> Iterator[None]:
    """Where Strata uses so many threads."""
    with mock.patch.dict(os.environ, OMP_NUM_THREADS=str(threads)):
        yield


def seconds_strata(features, labels, n_neighbors: int = 10, halves: int = 0) -> float:
    """Time of a whole call; without `halves` of the exact score alone."""
    from strata.convexity import graph_convexity

    start = time.perf_counter()
    graph_convexity(features, labels, n_neighbors, halves=halves)
    return time.perf_counter() - start


def parts_strata(features, labels) -> dict[str, float]:
    """Time of a whole call and of its parts."""
    from strata.convexity import graphs, meeting, neighbors

    seconds = {}

    def timed(name: str, function):
        def call(*arguments, **options):
            start = time.perf_counter()
            found = function(*arguments, **options)
            seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - start
            return found

        return call

    parts = [
        (neighbors, "tiled_candidates", "candidates for neighbors"),
        (neighbors, "nearest", "neighbors"),
        (graphs, "neighbor_graph", "graph"),
        (meeting, "score_concepts", "paths"),
    ]
    with ExitStack() as patches:
        for module, name, part in parts:
            function = timed(part, getattr(module, name))
            patches.enter_context(mock.patch.object(module, name, function))
        patches.enter_context(
            mock.patch("strata.convexity.scores.neighbor_graph", graphs.neighbor_graph)
        )
        seconds["whole"] = seconds_strata(features, labels)
    return seconds


def seconds_nnconvexity(features, labels, compared: bool) -> tuple[float, float]:
    """Time of its graph and paths, and the largest difference of its scores if `compared`."""
    from nnconvexity import graph as package

    from strata.convexity import pair_scores

    np.random.seed(0)
    start = time.perf_counter()
    distances = package.pd.DataFrame(package.cdist(features, features))
    nearest, _ = package.get_nearest_neighbors(distances, 10, 1)
    symmetric = np.maximum(nearest.to_numpy(), nearest.to_numpy().T)
    graph = package.Graph.Weighted_Adjacency(symmetric)
    seconds, difference = time.perf_counter() - start, 0.0
    for label in np.unique(labels):
        ids = np.argwhere(labels == label).flatten()
        state = np.random.get_state()
        start = time.perf_counter()
        theirs = package.compute_paths(graph, ids, 5000)
        seconds += time.perf_counter() - start
        if compared:
            np.random.set_state(state)
            every = list(package.itertools.permutations(ids, r=2))
            drawn = np.random.choice(range(len(every)), len(theirs), replace=False)
            ours = pair_scores(features, labels, np.array([every[i] for i in drawn]))
            difference = max(difference, np.abs(ours - theirs).max())
    return seconds, difference


def row(points: int, classes: int, k: int, side: str, seconds: float | str, remark="") -> dict:
    if not isinstance(seconds, str):
        seconds = f"{seconds:.3f}" if seconds < 10 else f"{seconds:.0f}"
    return {"points": points, "classes": classes, "k": k, "side": side, "seconds": seconds,
            "remark": remark}  # fmt: skip


def compare(rounds: int) -> list[dict]:
    """The comparison: 2,000 points of 768 dimensions in 20 classes, calls alternating."""
    features, labels = make_points(2000, 20)
    grants = sorted({1, CORES})
    seconds_strata(features, labels)  # load and compile
    theirs, ours, difference = [], {threads: [] for threads in grants}, 0.0
    for number in range(rounds):
        seconds, found = seconds_nnconvexity(features, labels, compared=number == 0)
        theirs.append(seconds)
        difference = max(difference, found)
        for threads in grants:
            with granted(threads):
                ours[threads].append(seconds_strata(features, labels))
        print(f"round {number + 1}: {seconds:.1f} s against", {t: ours[t][-1] for t in grants})
    shape = (2000, 20, 10)
    remark = f"median of {rounds}; largest difference of a pair's score {difference:.0e}"
    rows = [row(*shape, "nnconvexity, 5,000 pairs a class", statistics.median(theirs), remark)]
    for threads in grants:
        ratios = [a / b for a, b in zip(theirs, ours[threads], strict=True)]
        side = f"strata, all pairs, threads: {threads}"
        rows.append(row(*shape, side, statistics.median(ours[threads])))
        remark = f"median of {rounds} rounds: " + ", ".join(f"{ratio:.0f}" for ratio in ratios)
        faster = f"{statistics.median(ratios):.0f} times faster"
        rows.append(row(*shape, f"ratio, threads: {threads}", faster, remark))
    return rows


def breakdown() -> list[dict]:
    """Where the time of the comparison goes."""
    features, labels = make_points(2000, 20)
    rows = []
    for threads in sorted({1, CORES}):
        with granted(threads):
            rounds = [parts_strata(features, labels) for _ in range(9)]
        parts = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
        remark = shares(parts)
        rows.append(
            row(2000, 20, 10, f"strata in parts, threads: {threads}", parts["whole"], remark)
        )
    return rows


def shares(parts: dict[str, float]) -> str:
    rest = parts["whole"] - parts["graph"] - parts["paths"]
    pieces = {
        "products and selection": parts["candidates for neighbors"],
        "their distances again": parts["neighbors"] - parts["candidates for neighbors"],
        "graph": parts["graph"] - parts["neighbors"],
        "paths": parts["paths"],
        "the rest": rest,
    }
    return ", ".join(f"{name} {100 * s / parts['whole']:.0f} %" for name, s in pieces.items())


def seconds_product(features) -> float:
    """Time of all float32 products x.y alone, 512 rows against all at a time, on BLAS's threads."""
    products = np.empty((512, len(features)), dtype=np.float32)
    start = time.perf_counter()
    for first in range(0, len(features), 512):
        part = features[first : first + 512]
        np.matmul(part, features.T, out=products[: len(part)])
    return time.perf_counter() - start


def imagenet() -> list[dict]:
    """The shape of ImageNet's validation images, on all threads."""
    features, labels = make_points(*IMAGENET)
    parts = parts_strata(features, labels)
    peak = peak_mib()
    product = seconds_product(features)
    shape, search = (*IMAGENET, 10), parts["neighbors"]
    remark = f"{shares(parts)}; peak of the process so far {peak:.0f} MiB"
    share = f"{100 * search / parts['whole']:.0f} % of the whole"
    ratio = f"the neighbor search takes {search / product:.2f} times as long"
    return [
        row(*shape, f"strata, all pairs, threads: {CORES}", parts["whole"], remark),
        row(*shape, "its neighbor search", search, share),
        row(*shape, "bare product: all x.y, 512 rows at a time", product, ratio),
    ]


def growth(most: int) -> list[dict]:
    """Our time for other sizes on all threads, the median of three calls for the small ones."""
    cases = [(2000, 5, 10), (2000, 100, 10), (2000, 20, 5), (2000, 20, 50)]
    cases += [(n, 50, 10) for n in (5000, 10_000, 20_000, 50_000) if n <= most]
    rows = []
    for n, classes, k in cases:
        features, labels = make_points(n, classes)
        rounds = 1 if n > 2000 else 3
        seconds = [seconds_strata(features, labels, k) for _ in range(rounds)]
        remark = f"peak of the process so far {peak_mib():.0f} MiB"
        rows.append(row(n, classes, k, "strata, all pairs", statistics.median(seconds), remark))
    return rows


def intervals(rounds: int) -> list[dict]:
    """What intervals cost beside the exact score, calls alternating, on one thread."""
    rows = []
    for n, classes in ((2000, 20), (10_000, 50)):
        features, labels = make_points(n, classes)
        seconds = {halves: [] for halves in (0, 10)}
        with granted(1):
            for _ in range(rounds):
                for halves, found in seconds.items():
                    found.append(seconds_strata(features, labels, halves=halves))
        ratios = [b / a for a, b in zip(*seconds.values(), strict=True)]
        remark = f"median of {rounds} rounds; ratios " + ", ".join(f"{r:.1f}" for r in ratios)
        shape, medians = (n, classes, 10), [statistics.median(x) for x in seconds.values()]
        rows.append(row(*shape, "strata, all pairs, without intervals, threads: 1", medians[0]))
        side = "the same with intervals of 10 random halves"
        rows.append(row(*shape, side, medians[1], remark))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--most", type=int, default=10_000, help="largest number of points")
    parser.add_argument("--rounds", type=int, default=5, help="alternations with nnconvexity")
    arguments = parser.parse_args()
    rows = compare(arguments.rounds) + breakdown() + intervals(arguments.rounds)
    rows += growth(arguments.most) + imagenet()
    write_results("convexity", "Graph convexity, 768 dimensions", rows)


if __name__ == "__main__":
    main()
