"""Histogram worlds: every variable lies in one of a few boxes, evenly spread within it, so an integral is a sum.

The boxes are of different sizes, down to very small ones, so densities exceed one and entropies are negative. That is
what makes a false bound fail that would hold for probabilities.
"""

from __future__ import annotations

import copy
from typing import Self

import numpy as np

from diffusion_notes.equations.worlds.world import OF_LABELS, Point, Undefined, Unsuited, Values, World

__all__ = ["HistogramWorld"]

BOXES = 3


def _softmax(logits: np.ndarray) -> np.ndarray:
    raised = np.exp(logits - logits.real.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)


class HistogramWorld(World):
    """A chain of box variables with random steps.

    Args:
        context: The chapter.
        seed: For the random tables.
        sharp: How far the probabilities are from even.
        tight: How near the model is to q turned round: 1 is the same, 0 is at random.
        small: The typical size of a box.
        narrow: How much more the data crowd into one box.
        T: How many steps, in a diffusion chapter.
    """

    def __init__(
        self,
        context: str,
        seed: int,
        sharp: float = 1.0,
        tight: float = 0.0,
        small: float = 1.0,
        narrow: float = 0.0,
        T: int = 4,
    ) -> None:
        super().__init__(context, f"boxes, seed {seed}", T)
        rng = np.random.default_rng(seed)
        count = len(self.keys)
        n = BOXES
        self.sizes = small * np.exp(rng.uniform(-1, 1, (count, n)))
        self.up = [rng.normal(size=n) * sharp, *(rng.normal(size=(n, n)) * sharp for _ in range(count - 1))]
        self.down = [*(rng.normal(size=(n, n)) * sharp for _ in range(count - 1)), rng.normal(size=n) * sharp]
        self.up[0][rng.integers(n)] += narrow
        self.ways = {name: rng.normal(size=(8, count, n, n)) for name in ("theta", "phi")}
        self.functions = {name: rng.normal(size=(n,)) for name in ("f", "f_phi")}
        self.ways["function"] = rng.normal(size=(8, n))
        if tight:
            q = self._joint_up()
            for i in range(count - 1):
                pair = q.sum(axis=tuple(j for j in range(count) if j not in (i, i + 1)))
                self.down[i] = (1 - tight) * self.down[i] + tight * np.log(pair.T)  # rows: what is given, above
            top = np.log(q.sum(axis=tuple(range(count - 1))))
            self.down[-1] = (1 - tight) * self.down[-1] + tight * top
        self.flawless = False  # a classifier that is exact
        if self.attached:
            self._attach(seed, sharp, tight, small)
        self.rebuild()

    def _attach(self, seed: int, sharp: float, tight: float, small: float) -> None:
        """What is seen of the data, and the models that are told of it; a label has no size."""
        rng = np.random.default_rng(seed + 1000)
        n = BOXES
        steps = len(self.keys) - 1
        self.seen = {key: rng.normal(size=(n, n)) * sharp for key in self.attached}
        sizes = [np.ones(n) if key == "c" else small * np.exp(rng.uniform(-1, 1, n)) for key in self.attached]
        self.sizes = np.concatenate([self.sizes, np.reshape(sizes, (-1, n))])
        self.told = {key: rng.normal(size=(steps, n, n, n)) * sharp for key in self.attached}
        self.guessed = rng.normal(size=(steps + 1, n, n))  # the logits of a classifier that is trained
        self.weight = float(np.exp(rng.uniform(-0.7, 1.1)))
        chain = self._joint_up()
        for key in self.attached if tight else ():
            joint = chain[..., None] * self._likelihood(key)
            for i in range(steps):  # what is given: the condition and the variable above
                triple = joint.sum(axis=tuple(j for j in range(steps + 1) if j not in (i, i + 1)))
                self.told[key][i] = (1 - tight) * self.told[key][i] + tight * np.log(triple.transpose(2, 1, 0))

    def _likelihood(self, key: str) -> np.ndarray:
        """The table of what is seen, given x_0, with an axis for each variable of the chain."""
        table = _softmax(self.seen[key])
        return table.reshape(BOXES, *(1 for _ in self.keys[1:]), BOXES)

    def _with_attached(self, joint: np.ndarray) -> np.ndarray:
        """The table of the chain and of all that is seen."""
        for i, key in enumerate(self.attached):
            table = self._likelihood(key)
            joint = joint[..., None] * table.reshape(*table.shape[:-1], *(1,) * i, BOXES)
        return joint

    def _joint_told(self, key: str) -> np.ndarray:
        """The table of a model that is told what is seen, with an axis for it; that is the last one."""
        tables = []
        for label in range(BOXES):
            joint = _softmax(self.down[-1])
            for step in reversed(self.told[key][:, label]):
                table = _softmax(step).T
                joint = table.reshape(*table.shape, *(1 for _ in range(joint.ndim - 1))) * joint
            tables.append(joint)
        return np.stack(tables, axis=-1) / BOXES

    def _tilted(self) -> np.ndarray:
        """The table of the chain, tilted by p(c | x_0)^w, with an axis for c."""
        joint = self._joint_up()[..., None] * self._likelihood("c") ** self.weight
        return joint / joint.sum(axis=tuple(range(joint.ndim - 1))) / BOXES

    def _joint_up(self) -> np.ndarray:
        joint = _softmax(self.up[0])
        for step in self.up[1:]:
            joint = joint[..., None] * _softmax(step)
        return joint

    def _joint_down(self) -> np.ndarray:
        joint = _softmax(self.down[-1])
        for step in reversed(self.down[:-1]):
            table = _softmax(step).T  # below, above
            joint = table.reshape(*table.shape, *(1 for _ in range(joint.ndim - 1))) * joint
        return joint

    def rebuild(self) -> None:
        """The joint laws, from their steps."""
        self.joint = {"q": self._joint_up(), "p": self._joint_down()}
        self.axes = dict.fromkeys(self.joint, self.keys)
        if not self.attached:
            return
        self.joint["q"] = self._with_attached(self.joint["q"])
        self.axes["q"] = self.names
        if self.context not in OF_LABELS:
            self.joint["p"] = self._with_attached(self.joint["p"])
            self.axes["p"] = self.names
        else:
            for key in self.attached:
                self.joint[f"p {key}"] = self._joint_told(key)
                self.axes[f"p {key}"] = (*self.keys, key)
        if "y" in self.attached and self.context not in OF_LABELS:
            self.joint["proposal"] = self._joint_told("y")
            self.axes["proposal"] = (*self.keys, "y")
        if "c" in self.attached:
            self.joint["q_w"] = self._tilted()
            self.axes["q_w"] = (*self.keys, "c")

    def moved(self, parameters: str, direction: int, by: complex) -> Self:
        """The same world with the logits of one side moved; the prior and q(x) have no parameters."""
        other = copy.copy(self)
        way = self.ways[parameters][direction]
        if parameters == "theta":
            other.down = [*(s + by * w for s, w in zip(self.down[:-1], way, strict=False)), self.down[-1]]
            if self.attached:
                moved = way[: len(self.keys) - 1, None]
                other.told = {key: steps + by * moved for key, steps in self.told.items()}
        else:
            other.up = [self.up[0], *(s + by * w for s, w in zip(self.up[1:], way[1:], strict=True))]
            function = self.functions["f_phi"] + by * self.ways["function"][direction]
            other.functions = self.functions | {"f_phi": function}
        other.rebuild()
        return other

    def perfected(self, kind: str = "perfect") -> Self:
        """The same world with an exact classifier; there are no networks."""
        other = copy.copy(self)
        other.flawless = self.flawless or kind == "exact"
        return other

    def with_exact_encoder(self) -> Self:
        """The same world with q's steps up those of p turned round."""
        other = copy.copy(self)
        n = len(self.keys)
        pairs = [self.joint["p"].sum(axis=tuple(j for j in range(n) if j not in (i, i + 1))) for i in range(n - 1)]
        other.up = [self.up[0], *map(np.log, pairs)]  # a row for each box below
        other.rebuild()
        return other

    def _mass(self, model: str, keys: tuple[str, ...]) -> np.ndarray:
        """The table of these variables, in the order of the chain."""
        hidden = tuple(i for i, key in enumerate(self.axes[model]) if key not in keys)
        return self.joint[model].sum(axis=hidden)

    def _probability(self, model: str, keys: tuple[str, ...], point: Point) -> np.ndarray:
        """The probability of the boxes in which some variables lie."""
        names = tuple(self.original(key) for key in keys)
        for name in names:
            if name not in self.names:
                raise Unsuited(f"{name} is not in a box")
        if len(set(names)) != len(names):
            raise Undefined("a variable twice in one density")
        if model not in self.joint or not set(names) <= set(self.axes[model]):
            raise Unsuited(f"{model} of boxes")
        if not keys:
            return np.ones(1)
        order = sorted(range(len(names)), key=lambda i: self.names.index(names[i]))
        return self._mass(model, names)[tuple(point.values[keys[i]] for i in order)]

    def _sizes(self, key: str) -> np.ndarray:
        """The sizes of the boxes of a variable."""
        return self.sizes[self.names.index(self.original(key))]

    def noise(self, point: Point) -> np.ndarray:
        """There is none."""
        raise Unsuited("boxes have no noise")

    def log_density(self, model: str, about: tuple[str, ...], given: tuple[str, ...], point: Point) -> np.ndarray:
        """The logarithm of p(about | given) or of q(about | given), `(S,)`."""
        if model == "guess" and given[0] == self.keys[0]:
            model = "q"
        if model in ("p_phi", "guess"):
            return self._guess(about, given, point)
        both = self._probability(model, (*about, *given), point)
        sizes = sum(np.log(self._sizes(key)[point.values[key]]) for key in about)
        return np.log(both) - np.log(self._probability(model, given, point)) - sizes

    def nodes(
        self, model: str, about: tuple[str, ...], given: tuple[str, ...], point: Point
    ) -> tuple[Values, np.ndarray]:
        """All boxes of some variables, and how likely they are given others."""
        values, count = self._grid(about)
        wide = point.spread(values, count)
        both = self._probability(model, (*about, *given), wide).reshape(-1, count)
        return values, both / self._probability(model, given, point)[:, None]

    def _guess(self, about: tuple[str, ...], given: tuple[str, ...], point: Point) -> np.ndarray:
        """What a trained classifier says of a label, or a guess of an observation, given one variable of the chain."""
        if len(about) != 1 or about[0] not in self.attached or len(given) != 1 or given[0] not in self.keys:
            raise Unsuited("a classifier tells the label of one variable")
        if self.flawless:
            return self.log_density("q", about, given, point)
        table = _softmax(self.guessed[self.keys.index(given[0])])
        size = np.log(self._sizes(about[0])[point.values[about[0]]])
        return np.log(table[point.values[given[0]], point.values[about[0]]]) - size

    def _grid(self, keys: tuple[str, ...]) -> tuple[Values, int]:
        grid = np.stack(np.meshgrid(*(np.arange(BOXES) for _ in keys), indexing="ij")).reshape(len(keys), -1)
        return {key: grid[i][None] for i, key in enumerate(keys)}, grid.shape[1]

    def measure(self, key: str, point: Point) -> tuple[Values, np.ndarray]:
        """All boxes of a variable, and their sizes."""
        if self.original(key) not in self.names:
            raise Unsuited(f"{key} is not in a box")
        values, _ = self._grid((key,))
        return values, self._sizes(key)[None]

    def draws(self, count: int) -> Point:
        """Points from q, and copies of z from the model."""
        rng = np.random.default_rng(count)
        joint = self.joint["q"].real
        flat = rng.choice(joint.size, size=count, p=joint.ravel() / joint.sum())
        boxes = np.unravel_index(flat, joint.shape)
        return Point({key: boxes[i] for i, key in enumerate(self.names)})

    def function(self, name: str, arguments: list[np.ndarray]) -> np.ndarray:
        """f(z) is any function of the box."""
        if name not in self.functions or len(arguments) != 1:
            raise Unsuited(f"{name} of boxes")
        return self.functions[name][arguments[0]]
