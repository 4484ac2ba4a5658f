"""Beginning with the nets of a model that is there: which stem's net each starts from."""

from __future__ import annotations

from collections.abc import Sequence

from rtsep.errors import UsageError
from rtsep.nets.kinds import kind_of
from rtsep.nets.registry import ModelConfig
from rtsep.training.recipe import Recipe
from rtsep.training.torch_nets import Nets
from rtsep.weights import library as weights
from rtsep.weights.download import ByteProgress

ALL, NONE = "all", "none"


def layers_of(config: ModelConfig) -> tuple[str, ...]:
    """Names of the layers of a model's nets, in order."""
    shapes = kind_of(config).shapes(config)
    return tuple(dict.fromkeys(name.rpartition("/")[0] for name in shapes))


def parse_sources(options: Sequence[str], stems: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Whose net each stem starts from, by stem, as ``MODEL/STEM``.

    options: ``MODEL`` for all stems, each from its namesake; ``MODEL/STEM`` for all stems;
    ``STEM=MODEL/STEM`` for one.  Raises UsageError for names that are not there.
    """
    sources: dict[str, str] = {}
    for option in options:
        mine, equals, source = option.rpartition("=")
        if equals and mine not in stems:
            raise UsageError(f"{option}: there is no stem {mine!r}: choose from {', '.join(stems)}")
        model, slash, theirs = source.partition("/")
        config = weights.model_named(model)
        for stem in (mine,) if equals else stems:
            name = theirs if slash else stem
            if name not in config.net_stems:
                raise UsageError(
                    f"{option}: {model} has no net for {name!r}: name one as {model}/STEM, of"
                    f" {', '.join(config.net_stems)}"
                )
            sources[stem] = f"{model}/{name}"
    return tuple((stem, sources[stem]) for stem in stems if stem in sources)


def parse_layers(text: str, config: ModelConfig) -> tuple[str, ...]:
    """The layers in a list with commas of their names and of groups, in the network's order.

    config: of the nets.  Raises UsageError for layers that they do not have.
    """
    layers = layers_of(config)
    groups = {
        ALL: layers,
        NONE: (),
        "encoder": tuple(name for name in layers if name.startswith("conv")),
        "decoder": tuple(name for name in layers if not name.startswith("conv")),
    }
    chosen: set[str] = set()
    for word in text.split(","):
        if word not in groups and word not in layers:
            raise UsageError(
                f"there are no layers {word!r}: choose from {', '.join(groups)}, {', '.join(layers)}"
            )
        chosen.update(groups.get(word, (word,)))
    return tuple(name for name in layers if name in chosen)


def source_config(sources: Sequence[tuple[str, str]]) -> ModelConfig | None:
    """The model whose nets those of a training with these sources are like; None without sources.

    Raises UsageError where they differ among the sources.
    """
    configs = [weights.model_named(source.partition("/")[0]) for _, source in sources]
    for config in configs:
        if kind_of(config).together:
            raise UsageError(
                f"{config.name} has one net for all stems: nothing can begin with a part of it"
            )
    if len({(config.kind, config.structure) for config in configs}) > 1:
        raise UsageError(
            f"{' and '.join(config.name for config in configs)} have different networks: start from"
            " one of them"
        )
    kinds = {(config.encoder_activation, config.decoder_activation) for config in configs}
    if len(kinds) > 1:
        raise UsageError(
            f"{' and '.join(config.name for config in configs)} have different activations: start from"
            " one of them"
        )
    return configs[0] if configs else None


def take_over(nets: Nets, recipe: Recipe, progress: ByteProgress | None = None) -> tuple[str, str]:
    """Give the nets the layers that the recipe takes from others; returns their licence and copyright.

    Weights that are not there are fetched first. Raises WeightsError.
    """
    said: list[tuple[str, str]] = []
    loaded = {}
    for stem, source in recipe.sources:
        model, _, theirs = source.partition("/")
        config = weights.model_named(model)
        if model not in loaded:
            loaded[model] = weights.load(config, progress)
            known = weights.inspect(model)
            if known is not None:
                said.append((known.provenance.licence, known.provenance.copyright))
        nets[recipe.names.index(stem)].take(loaded[model][theirs], recipe.taken)
    if not said:
        return "unknown", "unknown"
    licences, owners = ("; ".join(dict.fromkeys(texts)) for texts in zip(*said))
    return f"of the nets that it began with: {licences}", owners
