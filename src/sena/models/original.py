"""LLaVA-1.5 as its authors publish it: what its config.json means, and its tokenizer, in today's terms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sena import files
from sena.errors import ModelError

_LANGUAGE = {
    *(
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "head_dim",
    ),
    *("hidden_act", "rms_norm_eps", "max_position_embeddings", "rope_theta", "rope_scaling", "attention_bias"),
    *("mlp_bias", "initializer_range", "bos_token_id", "eos_token_id"),
}
_VISION = {
    *("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_channels", "image_size"),
    *("patch_size", "hidden_act", "layer_norm_eps", "projection_dim"),
}
_LARGE = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16}
KNOWN_TOWERS = {
    "openai/clip-vit-large-patch14-336": {**_LARGE, "image_size": 336, "patch_size": 14, "projection_dim": 768},
    "openai/clip-vit-large-patch14": {**_LARGE, "image_size": 224, "patch_size": 14, "projection_dim": 768},
}
"""The shapes of the two towers that LLaVA-1.5 was trained with."""
IMAGE, PAD, ROWS = "<image>", "<pad>", 64
"""Tokens that the Hugging Face layout adds, and of what its vocabulary is a multiple."""


def is_original(config: dict[str, Any]) -> bool:
    """Whether a config.json is of the original layout, which shares its `model_type` with the Hugging Face one."""
    return "mm_vision_tower" in config and "vision_config" not in config


def refuse_others(name: str, config: dict[str, Any]) -> None:
    """Raises ModelError for a layout that is not LLaVA-1.5's, naming the setting by which it is told."""
    if not is_original(config):
        raise ModelError(f"{name} is not in LLaVA's original layout (no mm_vision_tower in its config.json)")
    wanted = {
        "architectures": (["LlavaLlamaForCausalLM"],),
        "mm_projector_type": ("mlp2x_gelu",),
        "image_aspect_ratio": ("pad",),
        "mm_vision_select_feature": ("patch", "cls_patch"),
        "mm_use_im_start_end": (False, None),
        "mm_use_im_patch_token": (False, None),
    }
    for key, values in wanted.items():
        found = config.get(key, values[0])
        if found not in values:
            raise ModelError(
                f"{name} is no LLaVA-1.5 ({key} is {found} in its config.json), and sena converts no other: "
                "look for its Hugging Face layout on the hub (llava-hf)"
            )


def make_config(raw: dict[str, Any], tower: dict[str, Any], rows: int, image_id: int, pad_id: int) -> Any:
    """The Hugging Face configuration. `rows` is the vocabulary's size, `tower` the settings of the vision tower."""
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig

    vision = CLIPVisionConfig(**tower)
    text = LlamaConfig(
        **{name: value for name, value in raw.items() if name in _LANGUAGE and value is not None},
        vocab_size=rows,
        pad_token_id=pad_id,
        tie_word_embeddings=False,
    )
    patches = (int(tower["image_size"]) // int(tower["patch_size"])) ** 2
    whole = raw.get("mm_vision_select_feature") == "cls_patch"
    return LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=image_id,
        projector_hidden_act="gelu",
        vision_feature_layer=raw.get("mm_vision_select_layer", -2),
        vision_feature_select_strategy="full" if whole else "default",
        image_seq_length=patches + whole,
        tie_word_embeddings=False,
        dtype=raw.get("torch_dtype", "float16"),
        architectures=["LlavaForConditionalGeneration"],
    )


def tower_settings(name: str, folder: Path | None) -> dict[str, Any]:
    """A vision tower's shape: from the config.json in its folder, else known by its name.

    Raises ModelError when neither says it, or when the tower is none of CLIP's.
    """
    if folder is None or not (folder / "config.json").is_file():
        if name in KNOWN_TOWERS:
            return KNOWN_TOWERS[name]
        raise ModelError(
            f"nothing says how the vision tower {name} is built: give a folder with its config.json (--tower)"
        )
    found = files.read_json(folder / "config.json")
    if found.get("model_type") not in ("clip", "clip_vision_model"):
        raise ModelError(f"{folder} is a {found.get('model_type')} model, and LLaVA-1.5's vision tower is a CLIP")
    found = found.get("vision_config", found)
    return {name: value for name, value in found.items() if name in _VISION}


def make_processor(folder: Path | None, config: Any, tokenizer: Any) -> Any:
    """Pictures padded to a square and prompts in the words that LLaVA-1.5 was trained with."""
    from transformers import LlavaProcessor
    from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil

    side = config.vision_config.image_size
    said = folder / "preprocessor_config.json" if folder else None
    seen = files.read_json(said) if said and said.is_file() else {}
    colours = {name: seen[name] for name in ("image_mean", "image_std") if name in seen}
    images = LlavaImageProcessorPil(
        size={"shortest_edge": side}, crop_size={"height": side, "width": side}, do_pad=True, **colours
    )
    return LlavaProcessor(
        image_processor=images,
        tokenizer=tokenizer,
        patch_size=config.vision_config.patch_size,
        vision_feature_select_strategy=config.vision_feature_select_strategy,
        num_additional_image_tokens=1,
    )


def make_tokenizer(folder: Path) -> Any:
    """The fast tokenizer, `<image>` and `<pad>` added, from tokenizer.json or else from tokenizer.model.

    Raises ModelError when there is neither file, or one that cannot be used.
    """
    from transformers import PreTrainedTokenizerFast

    special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "padding_side": "left"}
    if (folder / "tokenizer.json").is_file():
        made = PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"), **special)
    elif (folder / "tokenizer.model").is_file():
        made = PreTrainedTokenizerFast(tokenizer_object=_from_pieces(folder / "tokenizer.model"), **special)
    else:
        raise ModelError(f"{folder} has no tokenizer (tokenizer.model or tokenizer.json): copy it there")
    added = files.read_json(folder / "added_tokens.json") if (folder / "added_tokens.json").is_file() else {}
    made.add_tokens([*sorted(added, key=added.__getitem__), IMAGE], special_tokens=True)
    made.add_special_tokens({"pad_token": PAD})
    return made


def _from_pieces(path: Path) -> Any:
    """Llama's sentencepiece tokenizer in the shape that the `tokenizers` package runs.

    Each stretch of text between special tokens gets a blank in front, as LLaVA's code does by encoding what stands
    before and behind the picture apart.
    """
    from tokenizers import Tokenizer, decoders, normalizers, processors
    from tokenizers.models import BPE

    vocabulary, merges = _read_pieces(path)
    made = Tokenizer(BPE(vocab=vocabulary, merges=merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", vocabulary["<s>"])]
    )
    return made


def _read_pieces(path: Path) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Vocabulary and merges of a sentencepiece file, without the sentencepiece package.

    Sentencepiece joins the pair whose joint piece has the highest score; as merges, best first, that is the same.
    """
    from google.protobuf.message import DecodeError
    from transformers.tokenization_utils_base import generate_merges
    from transformers.utils import sentencepiece_model_pb2_new as sentencepiece

    model = sentencepiece.ModelProto()  # pyright: ignore[reportAttributeAccessIssue]
    try:
        model.ParseFromString(path.read_bytes())
    except DecodeError as error:
        raise ModelError(f"{path} is no sentencepiece file: copy it anew") from error
    if model.trainer_spec.model_type != model.trainer_spec.BPE:
        raise ModelError(f"{path} is no byte-pair tokenizer, as those of LLaVA-1.5 are")
    vocabulary = {piece.piece: index for index, piece in enumerate(model.pieces)}
    scores = {piece.piece: piece.score for piece in model.pieces if piece.type == piece.NORMAL}
    others = {piece.piece for piece in model.pieces if piece.type != piece.NORMAL}
    return vocabulary, generate_merges(vocabulary, scores, others)
