"""Graph convexity: strata.convexity over all pairs against nnconvexity's sampled paths, on CPU.

Both build the graph from the same points and labels. nnconvexity searches 5,000 sampled pairs per
class one by one; ours scores every ordered pair exactly, with intervals. Its time is long:
its graph is timed whole, and its paths on a few classes, from which the time for all follows
(classes are alike here); `--whole` times all of it. The same pairs are also scored by both, to the
last digit. Further rows show how our time grows with points, classes and neighbors.
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


def seconds_nnconvexity(features, labels, n_classes: int) -> tuple[float, float, float]:
    """Time of its graph; of the paths of `n_classes` classes; and the difference of its scores from
    ours on those pairs, at most."""
    from nnconvexity import graph as package

    from strata.convexity import pair_scores

    np.random.seed(0)
    start = time.perf_counter()
    distances = package.pd.DataFrame(package.cdist(features, features))
    nearest, _ = package.get_nearest_neighbors(distances, 10, 1)
    symmetric = np.maximum(nearest.to_numpy(), nearest.to_numpy().T)
    graph = package.Graph.Weighted_Adjacency(symmetric)
    for_graph = time.perf_counter() - start
    for_paths, difference = 0.0, 0.0
    for label in range(n_classes):
        ids = np.argwhere(labels == label).flatten()
        state = np.random.get_state()
        start = time.perf_counter()
        theirs = package.compute_paths(graph, ids, 5000)
        for_paths += time.perf_counter() - start
        np.random.set_state(state)
        every = list(package.itertools.permutations(ids, r=2))
        drawn = np.random.choice(range(len(every)), len(theirs), replace=False)
        ours = pair_scores(features, labels, np.array([every[i] for i in drawn]))
        difference = max(difference, np.abs(ours - theirs).max())
    return for_graph, for_paths, difference


def compare(timed_classes: int) -> list[dict]:
    """The comparison: 2,000 points of 768 dimensions in 20 classes."""
    features, labels = make_points(2000, 20)
    seconds_strata(features, labels, rounds=1)  # load and compile
    ours, _ = seconds_strata(features, labels)
    for_graph, for_paths, difference = seconds_nnconvexity(features, labels, timed_classes)
    theirs = for_graph + for_paths * 20 / timed_classes
    shared = {"points": 2000, "classes": 20, "k": 10}
    note = f"{timed_classes} of 20 classes timed"
    return [
        {**shared, "side": "strata, all pairs", "seconds": f"{ours:.3f}", "remark": ""},
        {**shared, "side": "nnconvexity, 5,000 pairs a class",
         "seconds": f"{theirs:.0f}", "remark": note},
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
    parser.add_argument("--whole", action="store_true", help="time all classes of nnconvexity")
    parser.add_argument("--most", type=int, default=10_000, help="largest number of points")
    arguments = parser.parse_args()
    rows = compare(20 if arguments.whole else 2) + growth(arguments.most)
    write_results("convexity", "Graph convexity, 768 dimensions", rows)


if __name__ == "__main__":
    main()
