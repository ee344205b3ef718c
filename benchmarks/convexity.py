"""Graph convexity: strata.convexity over all pairs against nnconvexity's sampled paths, on CPU.

Both build the graph from the same points and labels. nnconvexity searches 5,000 sampled pairs per
class one by one; ours scores every ordered pair exactly, with intervals. The pairs that it drew are
also scored by ours, to compare the scores. Further rows show how our time grows with points,
classes and neighbors.
"""

import argparse
import statistics
import time

import numpy as np
from measuring import peak_mib, write_results


def make_points(n: int, classes: int, dimensions: int = 768):
    draw = np.random.default_rng(0)
    labels = np.arange(n) % classes
    centres = draw.normal(size=(classes, dimensions)) * 0.12
    return (centres[labels] + draw.normal(size=(n, dimensions))).astype(np.float32), labels


def seconds_strata(features, labels, n_neighbors: int = 10, rounds: int = 5) -> tuple[float, float]:
    """Median time of a whole call, and the mean convexity."""
    from strata.convexity import graph_convexity

    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        found = graph_convexity(features, labels, n_neighbors)
        times.append(time.perf_counter() - start)
    return statistics.median(times), found.mean


def seconds_nnconvexity(features, labels) -> tuple[float, float]:
    """Time of its graph and paths, and the largest difference of its scores from ours."""
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
        np.random.set_state(state)
        every = list(package.itertools.permutations(ids, r=2))
        drawn = np.random.choice(range(len(every)), len(theirs), replace=False)
        ours = pair_scores(features, labels, np.array([every[i] for i in drawn]))
        difference = max(difference, np.abs(ours - theirs).max())
    return seconds, difference


def compare() -> list[dict]:
    """The comparison: 2,000 points of 768 dimensions in 20 classes."""
    features, labels = make_points(2000, 20)
    seconds_strata(features, labels, rounds=1)  # load and compile
    ours, _ = seconds_strata(features, labels)
    theirs, difference = seconds_nnconvexity(features, labels)
    shared = {"points": 2000, "classes": 20, "k": 10}
    return [
        {**shared, "side": "strata, all pairs", "seconds": f"{ours:.3f}", "remark": ""},
        {**shared, "side": "nnconvexity, 5,000 pairs a class",
         "seconds": f"{theirs:.0f}", "remark": ""},
        {**shared, "side": "ratio", "seconds": f"{theirs / ours:.0f} times faster",
         "remark": f"largest difference of a pair's score {difference:.0e}"},
    ]  # fmt: skip


def growth(most: int) -> list[dict]:
    """Our time for other sizes, one call each."""
    cases = [(2000, 5, 10), (2000, 100, 10), (2000, 20, 5), (2000, 20, 50)]
    cases += [(n, 50, 10) for n in (5000, 10_000, 20_000, 50_000) if n <= most]
    rows = []
    for n, classes, k in cases:
        features, labels = make_points(n, classes)
        seconds, _ = seconds_strata(features, labels, k, rounds=1 if n > 2000 else 3)
        seconds = f"{seconds:.3f}" if seconds < 10 else f"{seconds:.0f}"
        remark = f"peak of the process so far {peak_mib():.0f} MiB"
        size = {"points": n, "classes": classes, "k": k}
        rows.append({**size, "side": "strata, all pairs", "seconds": seconds, "remark": remark})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--most", type=int, default=10_000, help="largest number of points")
    arguments = parser.parse_args()
    rows = compare() + growth(arguments.most)
    write_results("convexity", "Graph convexity, 768 dimensions", rows)


if __name__ == "__main__":
    main()
