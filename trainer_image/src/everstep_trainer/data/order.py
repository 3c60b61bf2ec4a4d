"""The order of documents: a keyed permutation for each epoch, of which any part can be had without the rest.

Everything here is integer arithmetic that we define ourselves: an order that came from a library's random numbers could
change with its next release, and a job that goes on under a new image would see other rows.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

_ROUNDS = 8


class Permutation:
    """A bijection of 0 … size-1, chosen by a key.

    A Feistel network of eight rounds over the next even number of bits; what falls outside goes through it again, until
    it falls inside (Black & Rogaway 2002, "Ciphers with arbitrary finite domains"). It needs no memory.
    """

    def __init__(self, size: int, *key: int | str) -> None:
        self._size = size
        bits = max(2, (size - 1).bit_length())
        self._half = np.uint64((bits + 1) // 2)
        digest = hashlib.blake2b(repr(key).encode(), digest_size=8 * _ROUNDS).digest()
        self._keys: Words = np.frombuffer(digest, dtype="<u8").astype(np.uint64)

    def of(self, positions: Integers) -> Integers:
        """Where each position goes; all of them are from 0 to below the size."""
        images = self._encrypt(positions.astype(np.uint64))
        while (outside := images >= self._size).any():
            images[outside] = self._encrypt(images[outside])
        return images.astype(np.int64)

    def _encrypt(self, words: Words) -> Words:
        mask = (np.uint64(1) << self._half) - np.uint64(1)
        left, right = words >> self._half, words & mask
        for key in self._keys:
            left, right = right, left ^ (_mix(right + key) & mask)
        return (left << self._half) | right


def _mix(words: Words) -> Words:
    """The finaliser of splitmix64 (Steele, Lea & Flood 2014): every bit of the input changes half of the output."""
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What one source gives to an epoch."""

    documents: int
    weight: Fraction
    """1/2 for half of the documents in each epoch, 2 for all of them twice."""

    def begin(self, epoch: int) -> int:
        """Where the epoch begins in the endless sequence of the source's passes."""
        return int(epoch * self.weight * self.documents)


class Order:
    """Which document comes at which place of which epoch, over all sources of a job.

    A source is an endless sequence of passes over its documents, each pass in an order of its own; an epoch takes
    `weight` times its documents, from where the last one ended. So two epochs of weight 1/2 see each document once.
    The epoch mixes what its sources gave by one more permutation.
    """

    def __init__(self, shares: Sequence[Share], *, seed: int) -> None:
        self._shares = tuple(shares)
        self._seed = seed

    def size(self, epoch: int) -> int:
        """How many documents the epoch has."""
        return int(self._takes(epoch).sum())

    def documents(self, epoch: int, begin: int, end: int) -> Integers:
        """The documents at the places from `begin` to below `end`, numbered over all sources in their order."""
        takes = self._takes(epoch)
        bounds = np.concatenate([[0], np.cumsum(takes)])
        mixed = Permutation(int(bounds[-1]), self._seed, "epoch", epoch).of(np.arange(begin, end, dtype=np.int64))
        found = np.empty_like(mixed)
        for source, share in enumerate(self._shares):
            inside = (mixed >= bounds[source]) & (mixed < bounds[source + 1])
            places = mixed[inside] - bounds[source] + share.begin(epoch)
            found[inside] = self._first[source] + self._in_passes(source, places)
        return found

    def _takes(self, epoch: int) -> Integers:
        return np.array([share.begin(epoch + 1) - share.begin(epoch) for share in self._shares], dtype=np.int64)

    @cached_property
    def _first(self) -> Integers:
        counts = [share.documents for share in self._shares]
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def _in_passes(self, source: int, places: Integers) -> Integers:
        """The source's documents at these places of its endless sequence."""
        if not len(places):
            return places
        size = self._shares[source].documents
        passes, positions = np.divmod(places, size)
        documents = np.empty_like(places)
        for number in np.unique(passes):
            now = passes == number
            documents[now] = Permutation(size, self._seed, "source", source, int(number)).of(positions[now])
        return documents


def weight_of(value: float) -> Fraction:
    """The weight as it was written: 0.1 is a tenth, not the nearest binary number."""
    return Fraction(str(value))


def is_held_out(fingerprints: Words, fraction: float) -> npt.NDArray[np.bool_]:
    """Whether each document belongs to the validation set, by its fingerprint alone.

    Neither the seed nor the other documents have a say, so a document stays on its side when data is added, in every
    job, and two copies of it are on the same side.
    """
    threshold = int(weight_of(fraction) * 2**64)
    return fingerprints < np.uint64(threshold)
