"""The inner loops as machine code, kept on disk between runs.

Importing this module imports numba: who needs a loop imports it where it is called.
"""

from __future__ import annotations

import numpy as np

from strata.compiled import machine_code

_fast = machine_code(fastmath=True, error_model="numpy")
# Loops that must tell NaN and infinities apart keep IEEE's rules.
_exact = machine_code()


@_fast
def multiply(products, tile, starts, rows, base, rates):
    """products[j, c] *= prod_i (base + rates_i tile[rows_i, c]), i from starts[j] to starts[j + 1].

    Four rows at a time: a product is read and written a quarter as often.
    """
    width = tile.shape[1]
    for j in range(products.shape[0]):
        target = products[j]
        i = starts[j]
        end = starts[j + 1]
        while i + 4 <= end:
            t0, t1, t2, t3 = tile[rows[i]], tile[rows[i + 1]], tile[rows[i + 2]], tile[rows[i + 3]]
            r0, r1, r2, r3 = rates[i], rates[i + 1], rates[i + 2], rates[i + 3]
            for c in range(width):
                left = (base + r0 * t0[c]) * (base + r1 * t1[c])
                target[c] *= left * ((base + r2 * t2[c]) * (base + r3 * t3[c]))
            i += 4
        while i < end:
            t0, r0 = tile[rows[i]], rates[i]
            for c in range(width):
                target[c] *= base + r0 * t0[c]
            i += 1


@_fast
def summarise(tile, totals, low, high):
    """Sum, least and greatest value of each row of `tile`, in one reading of it."""
    for i in range(tile.shape[0]):
        row = tile[i]
        added = np.float32(0)
        least = row[0]
        greatest = row[0]
        for c in range(row.size):
            added += row[c]
            least = min(least, row[c])
            greatest = max(greatest, row[c])
        totals[i], low[i], high[i] = added, least, greatest


@_exact
def keep_largest(rows, ranks, values, samples, low):
    """Fold `rows` (samples of these `ranks`, neurons) into each neuron's k largest values.

    values, samples (neurons, k) are heaps with the worst at [0]: the smallest value, of equal ones
    that of the highest rank. `low` is each neuron's smallest value. NaN enters and stays at the
    top.
    """
    k = values.shape[1]
    for i in range(rows.shape[0]):
        rank = ranks[i]
        for j in range(rows.shape[1]):
            x = rows[i, j]
            low[j] = min(low[j], x)
            if x < values[j, 0] or (x == values[j, 0] and rank > samples[j, 0]):
                continue
            heap, numbers = values[j], samples[j]
            at = 0
            while True:
                child = 2 * at + 1
                if child >= k:
                    break
                right = child + 1
                if right < k and (
                    heap[right] < heap[child]
                    or (heap[right] == heap[child] and numbers[right] > numbers[child])
                ):
                    child = right
                if heap[child] > x or (heap[child] == x and numbers[child] < rank):  # better
                    break
                heap[at], numbers[at] = heap[child], numbers[child]
                at = child
            heap[at], numbers[at] = x, rank


@_exact
def keep_best(keys, own, best, numbers):
    """Fold `keys` (neurons, concepts of the numbers `own`) into each neuron's best, sorted.

    Of equal keys the concept of the lower number is better, in whatever order the tiles come.
    """
    m = best.shape[1]
    for j in range(keys.shape[0]):
        for c in range(keys.shape[1]):
            x = keys[j, c]
            if not x >= best[j, m - 1]:
                continue
            number = own[c]
            at = m
            while at > 0 and (
                x > best[j, at - 1] or (x == best[j, at - 1] and number < numbers[j, at - 1])
            ):
                at -= 1
            for i in range(m - 1, at, -1):
                best[j, i], numbers[j, i] = best[j, i - 1], numbers[j, i - 1]
            if at < m:
                best[j, at], numbers[j, at] = x, number


@_fast
def _place(rank, rows, words, before, places):
    """Places of the images `rows` in their own order, given the `rank` of all images.

    A bit per rank that occurs, and a running count of bits: linear in rows, where sorting is not.
    """
    words[:] = 0
    for i in range(rows.size):
        at = rank[rows[i]]
        words[at >> 6] |= np.uint64(1) << np.uint64(at & 63)
    count = 0
    for w in range(words.size):
        before[w] = count
        count += _bits(words[w])
    for i in range(rows.size):
        at = rank[rows[i]]
        below = words[at >> 6] & ((np.uint64(1) << np.uint64(at & 63)) - np.uint64(1))
        places[i] = before[at >> 6] + _bits(below)


@_fast
def _bits(word):
    """Number of bits set; the compiler knows this form and uses the machine's own instruction."""
    word = word - ((word >> np.uint64(1)) & np.uint64(0x5555555555555555))
    word = (word & np.uint64(0x3333333333333333)) + (
        (word >> np.uint64(2)) & np.uint64(0x3333333333333333)
    )
    word = (word + (word >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int32((word * np.uint64(0x0101010101010101)) >> np.uint64(56))


@_fast
def _error(places, descending, power, terms):
    """Mean |t - t'|^power, t the descending values and t' those at the images' places."""
    k = places.size
    for i in range(k):
        terms[i] = abs(descending[i] - descending[k - 1 - places[i]])
    total = np.float32(0)
    if power == 3:  # the default, in one reading
        for i in range(k):
            total += terms[i] * terms[i] * terms[i]
        return total / np.float32(k)
    for i in range(k):
        term = terms[i]
        for _ in range(power - 1):
            term *= terms[i]
        total += term
    return total / np.float32(k)


@_fast
def rank_errors(ranks, rows, values, power, errors):
    """errors[j, c]: rank reorder's error of neuron j by concept c.

    ranks (concepts, images) are the images' ranks by each concept; rows, values (neurons, k) each
    neuron's images, best first, and their activations.
    """
    words = np.empty((ranks.shape[1] + 63) // 64, np.uint64)
    before = np.empty(words.size, np.int32)
    places = np.empty(rows.shape[1], np.int32)
    terms = np.empty(rows.shape[1], np.float32)
    for j in range(rows.shape[0]):
        for c in range(ranks.shape[0]):
            _place(ranks[c], rows[j], words, before, places)
            errors[j, c] = _error(places, values[j], power, terms)


@_fast
def drawn_errors(ranks, rows, values, power, errors):
    """errors[j, c]: the same of neuron j when the images `rows` (k) take its images' place."""
    words = np.empty((ranks.shape[1] + 63) // 64, np.uint64)
    before = np.empty(words.size, np.int32)
    places = np.empty(rows.size, np.int32)
    terms = np.empty(rows.size, np.float32)
    for c in range(ranks.shape[0]):
        _place(ranks[c], rows, words, before, places)
        for j in range(values.shape[0]):
            errors[j, c] = _error(places, values[j], power, terms)


@_fast
def raise_columns(rows, mean, length, power, out):
    """out = (rows - mean)^power / length, by column; float64 on the way."""
    for i in range(rows.shape[0]):
        for j in range(rows.shape[1]):
            difference = np.float64(rows[i, j]) - mean[j]
            value = difference
            for _ in range(power - 1):
                value *= difference
            out[i, j] = value / length[j]
