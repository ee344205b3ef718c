"""A classifier cut open behind each layer: states out of a layer, and back into what follows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import torch

from strata.compat import prepare_imports
from strata.errors import StrataError, one_line
from strata.models.inference import pick_device
from strata.models.layers import entering_states, find_layers
from strata.models.preprocessing import image_processor, input_size
from strata.tables import EMBEDDING

_BATCH = 256
_TRIED = 8  # pictures on which it is tried whether a network can be cut open


class CutClassifier:
    """An image classifier (transformers) whose layers' states can be read and replaced.

    `layers` are names as in `strata.models`, with `embedding` that of what enters the first layer
    before them; `classes` the names of the classes. `head_weights` and `head_bias` are those of the
    last linear layer.

    Raises
    ------
    StrataError
        The folder holds no classifier.
    """

    def __init__(self, directory: str | Path, device: str = "auto", embedding: bool = False):
        prepare_imports()
        from transformers import AutoModelForImageClassification, logging

        logging.set_verbosity_error()
        directory = Path(directory)
        options = {"local_files_only": True, "use_safetensors": True, "output_loading_info": True}
        options |= {"dtype": torch.float32}
        try:
            model, report = AutoModelForImageClassification.from_pretrained(directory, **options)
        except ValueError:  # no classifier of this architecture
            raise StrataError(f"{directory.name}: no classifier: it cannot name classes") from None
        missing = [key for key in report["missing_keys"] if "classifier" in key]
        if missing:
            raise StrataError(f"{directory.name}: no classifier: the weights lack {missing[0]}")
        self.device = pick_device(device)
        self.module = model.eval().to(self.device)
        self.processor = image_processor(directory)
        self.modules = find_layers(self.module)
        self.name, self.embedding = directory.name, embedding
        self.layers = [*([EMBEDDING] if embedding else []), *self.modules]
        names = model.config.id2label
        self.classes = [names[i] for i in range(len(names))]
        linear = [m for m in model.modules() if isinstance(m, torch.nn.Linear)]
        self.head = linear[-1]
        self.head_weights = self.head.weight.detach().cpu().double().numpy()
        self.head_bias = self.head.bias.detach().cpu().double().numpy()

    def states(self, pictures: Sequence) -> tuple[list[np.ndarray], np.ndarray]:
        """States behind every layer (pictures, ...), and what enters the last linear layer.

        Raises StrataError for the embedding of a network without one, for one whose answer is not
        that of a linear layer alone, and for one that does not say the same of its own states.
        """
        try:
            found, pooled = self._read(pictures)
            for number, states in enumerate(found):
                self._check_cut(number, states[:_TRIED], pooled[:_TRIED])
        except (ValueError, TypeError, IndexError, AttributeError, RuntimeError) as error:
            raise StrataError(
                f"{self.name}: cannot be cut open behind its layers: {one_line(error)}; Euclidean "
                "convexity wants layers whose states have one shape, as a ViT's or a ResNet's"
            ) from None
        return found, pooled

    def _check_cut(self, layer: int, states: np.ndarray, pooled: np.ndarray) -> None:
        """Refuse a layer from whose own states the network goes on to another answer."""
        own = (pooled @ self.head_weights.T + self.head_bias).argmax(axis=1)
        if self.classify_from(layer, states) != [self.classes[i] for i in own]:
            raise StrataError(
                f"{self.name}, {self.layers[layer]}: what follows this layer depends on more than "
                "its states; leave the model out of euclidean: heads"
            )

    def _read(self, pictures: Sequence) -> tuple[list[np.ndarray], np.ndarray]:
        """As `states`, unchecked but for the head."""
        found: list[list[np.ndarray]] = [[] for _ in self.layers]
        pooled: list[np.ndarray] = []

        def keep(place):
            return lambda module, inputs, output: place.append(_states(output).cpu().numpy())

        def keep_entering(states):
            found[0].append(states.cpu().numpy().copy())  # layers may change it in place

        with ExitStack() as hooks:
            if self.embedding:
                hooks.enter_context(self._entering(keep_entering))
            behind = found[1:] if self.embedding else found
            for place, module in zip(behind, self.modules.values(), strict=True):
                hooks.callback(module.register_forward_hook(keep(place)).remove)
            entering = self.head.register_forward_pre_hook(
                lambda module, inputs: pooled.append(inputs[0].cpu().numpy())
            )
            hooks.callback(entering.remove)
            for start in range(0, len(pictures), _BATCH):
                pixels = self.processor(list(pictures[start : start + _BATCH]))
                self._check_head(pooled, self._run(pixels))
        return [np.concatenate(parts) for parts in found], np.concatenate(pooled)

    def _check_head(self, pooled: list[np.ndarray], logits: torch.Tensor) -> None:
        """Refuse a network that does not say what its last linear layer does: one of two heads."""
        told, entering = logits.cpu().numpy(), pooled[-1] if pooled else np.empty(0)
        alone = entering.shape == (len(told), self.head_weights.shape[1])
        own = entering @ self.head_weights.T + self.head_bias if alone else np.empty(0)
        if own.shape != told.shape or not np.allclose(own, told, atol=1e-3 * np.abs(told).max()):
            raise StrataError(
                f"{self.name}: its classes are not those of its last linear layer alone; "
                "Euclidean convexity wants a classifier with one linear head"
            )

    def classify_from(self, layer: int, states: np.ndarray) -> list[str]:
        """Class names when `states` (samples, ...) leave layer number `layer`."""
        side = input_size(self.module.config.to_dict())
        answers = []
        for start in range(0, len(states), _BATCH):
            part = torch.from_numpy(states[start : start + _BATCH]).to(self.device)
            blank = torch.zeros(len(part), 3, side, side)
            with self._replaced(layer, part):
                answers.append(self._run(blank).argmax(dim=1).cpu().numpy())
        return [self.classes[i] for i in np.concatenate(answers)]

    def _run(self, pixels: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return self.module(pixel_values=pixels.to(self.device)).logits

    @contextmanager
    def _replaced(self, layer: int, states: torch.Tensor) -> Iterator[None]:
        """Skip the layers up to `layer`, whose output is `states`."""
        if self.layers[layer] == EMBEDDING:
            with self._entering(lambda own: states):
                yield
            return
        blocks = layer if self.embedding else layer + 1
        skipped = list(self.modules.values())[:blocks]
        kept = [module.forward for module in skipped]

        def passing(hidden, *arguments, **options):
            return hidden

        try:
            for module in skipped[:-1]:
                module.forward = passing
            skipped[-1].forward = lambda *arguments, **options: states
            yield
        finally:
            for module, forward in zip(skipped, kept, strict=True):
                module.forward = forward

    @contextmanager
    def _entering(self, see: Callable[[torch.Tensor], torch.Tensor | None]) -> Iterator[None]:
        """Let `see` have what enters the first layer, and replace it by what `see` returns."""

        def hook(module, inputs, named):
            states = see(entering_states(inputs, named, self.name))
            if states is None:
                return None
            return (
                ((states, *inputs[1:]), named)
                if inputs
                else ((), {**named, "hidden_states": states})
            )

        first = next(iter(self.modules.values()))
        handle = first.register_forward_pre_hook(hook, with_kwargs=True)
        try:
            yield
        finally:
            handle.remove()


def _states(output) -> torch.Tensor:
    return output if hasattr(output, "ndim") else output[0]
