"""A tiny checkpoint in the layout in which LLaVA-1.5 was published, and what it computes, written down apart."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaForCausalLM
from transformers.utils import sentencepiece_model_pb2_new as sentencepiece

SIDE, PATCH, EYE, WIDTH = 28, 14, 24, 32
LETTERS = "▁eotainshrdlucmwyfgpbvk.,?:ASUERINTWh"
WORDS = ("▁t", "he", "▁the", "in", "▁a", "re", "US", "ER", "USER", "▁USER", "at", "Wh", "What", "▁is", "is", "▁w", "or")
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6


def pieces() -> list[tuple[str, float, int]]:
    """Sentencepiece's table: text, score, kind. A word's score falls with its place, a letter's is below all words'."""
    table = [("<unk>", 0.0, UNKNOWN), ("<s>", 0.0, CONTROL), ("</s>", 0.0, CONTROL)]
    table += [(f"<0x{number:02X}>", 0.0, BYTE) for number in range(256)]
    table += [(word, -float(place), NORMAL) for place, word in enumerate(WORDS)]
    letters = sorted({letter for word in WORDS for letter in word} | set(LETTERS))
    return table + [(letter, -float(len(WORDS) + place), NORMAL) for place, letter in enumerate(letters)]


def write_tokenizer(folder: Path) -> None:
    model = sentencepiece.ModelProto()
    for text, score, kind in pieces():
        model.pieces.add(piece=text, score=score, type=kind)
    model.trainer_spec.model_type = model.trainer_spec.BPE
    (folder / "tokenizer.model").write_bytes(model.SerializeToString())


def encode(text: str) -> list[int]:
    """Ids as sentencepiece finds them: a blank in front, letters, then ever the best-scored neighbours joined."""
    known = {piece: (index, score) for index, (piece, score, kind) in enumerate(pieces()) if kind == NORMAL}
    parts = list("▁" + text.replace(" ", "▁"))
    while True:
        joined = [(known[a + b][1], -place) for place, (a, b) in enumerate(pairwise(parts)) if a + b in known]
        if not joined:
            break
        place = -max(joined)[1]
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    ids = []
    for part in parts:
        ids += [known[part][0]] if part in known else [3 + byte for byte in part.encode()]
    return ids


class Original:
    """The parts of the checkpoint as modules of their own: tower, projector weights, language model."""

    def __init__(self, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.eye_config = CLIPVisionConfig(
            hidden_size=EYE,
            intermediate_size=48,
            num_hidden_layers=3,
            num_attention_heads=2,
            image_size=SIDE,
            patch_size=PATCH,
        )
        self.text_config = LlamaConfig(
            vocab_size=len(pieces()),
            hidden_size=WIDTH,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            rms_norm_eps=1e-5,
        )
        self.eye, self.tongue = CLIPVisionModel(self.eye_config).eval(), LlamaForCausalLM(self.text_config).eval()
        for part in (self.eye, self.tongue):
            for weight in part.parameters():
                torch.nn.init.normal_(weight, 1.0 if weight.ndim == 1 else 0.0, 0.2)
        self.projector = {
            "0.weight": torch.randn(WIDTH, EYE) * 0.3,
            "0.bias": torch.randn(WIDTH),
            "2.weight": torch.randn(WIDTH, WIDTH) * 0.3,
            "2.bias": torch.randn(WIDTH),
        }

    def logits(self, before: list[int], pixels: torch.Tensor, after: list[int]) -> torch.Tensor:
        """[T, V]: the features of the last layer but one, first token left out, between the embeddings of the ids."""
        p = self.projector
        with torch.no_grad():
            seen = self.eye(pixels, output_hidden_states=True).hidden_states[-2][0, 1:]
            hidden = seen @ p["0.weight"].T + p["0.bias"]
            hidden = hidden * 0.5 * (1 + torch.erf(hidden / 2**0.5))
            picture = hidden @ p["2.weight"].T + p["2.bias"]
            embed = self.tongue.get_input_embeddings()
            row = torch.cat([embed(torch.tensor(before)), picture, embed(torch.tensor(after))])
            return self.tongue(inputs_embeds=row[None]).logits[0]

    def eye_weights(self) -> dict[str, torch.Tensor]:
        """Under the names that CLIP's published files use."""
        return {
            f"vision_model.{name.removeprefix('vision_model.')}": each for name, each in self.eye.state_dict().items()
        }

    def weights(self, with_eye: bool) -> dict[str, torch.Tensor]:
        found = dict(self.tongue.state_dict())
        found |= {f"model.mm_projector.{name}": each for name, each in self.projector.items()}
        found |= {
            "model.image_newline": torch.zeros(WIDTH),
            "model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4),
        }
        if with_eye:
            found |= {f"model.vision_tower.vision_tower.{name}": each for name, each in self.eye_weights().items()}
        return found

    def config(self, tower: str) -> dict[str, object]:
        return {
            "model_type": "llava",
            "architectures": ["LlavaLlamaForCausalLM"],
            "vocab_size": len(pieces()),
            "hidden_size": WIDTH,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "hidden_act": "silu",
            "rms_norm_eps": 1e-5,
            "max_position_embeddings": 2048,
            "image_aspect_ratio": "pad",
            "mm_hidden_size": EYE,
            "mm_projector_type": "mlp2x_gelu",
            "mm_use_im_start_end": False,
            "mm_vision_select_feature": "patch",
            "mm_vision_select_layer": -2,
            "mm_vision_tower": tower,
            "torch_dtype": "float32",
            "tie_word_embeddings": False,
        }


def write_tower(original: Original, folder: Path, kind: str = "safetensors") -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(original.eye_config.to_json_string())
    save(original.eye_weights(), folder, kind)
    return folder


def write(
    original: Original, folder: Path, tower: str, weights: dict[str, torch.Tensor], kind: str, parts: int = 1
) -> Path:
    folder.mkdir()
    write_tokenizer(folder)
    (folder / "config.json").write_text(json.dumps(original.config(tower)))
    save(weights, folder, kind, parts)
    return folder


def save(weights: dict[str, torch.Tensor], folder: Path, kind: str, parts: int = 1) -> None:
    """`pytorch_model.bin` or `model.safetensors`, or several with their index."""
    stem = {"bin": "pytorch_model", "safetensors": "model"}[kind]
    index, names = {}, list(weights)
    for number in range(parts):
        file = f"{stem}.{kind}" if parts == 1 else f"{stem}-{number + 1:05d}-of-{parts:05d}.{kind}"
        mine = {name: weights[name].clone() for name in names[number::parts]}
        torch.save(mine, folder / file) if kind == "bin" else save_file(mine, folder / file)
        index |= dict.fromkeys(mine, file)
    if parts > 1:
        (folder / f"{stem}.{kind}.index.json").write_text(json.dumps({"weight_map": index}))
