"""Small networks of every family of picture encoders, with random weights, saved as on a hub.

`TRANSFORMERS` and `TIMM` map a family to what makes a small network of it and to the side in pixels
of the pictures that are shown to it.
"""

import json
import os
from pathlib import Path

import torch
from safetensors.torch import save_file

from strata.compat import prepare_imports

prepare_imports()
import timm  # noqa: E402 - after prepare_imports
import transformers as tf  # noqa: E402

_VIT = {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 32,
    "patch_size": 8,
}
_STAGES = {"hidden_sizes": [8, 12, 16, 24], "depths": [1, 2, 1, 1]}
_ATTENDING = {
    "hidden_sizes": [8, 8, 16, 24],
    "depths": [1, 2, 1, 1],
    "num_attention_heads": [1, 1, 2, 2],
}
_SWIN = {
    "image_size": 32,
    "patch_size": 2,
    "embed_dim": 8,
    "depths": [1, 3],
    "num_heads": [2, 2],
    "window_size": 4,
}
_EFFICIENT = {"width_coefficient": 0.25, "depth_coefficient": 0.5, "hidden_dim": 320}
_LOUD = {"initializer_range": 0.2}  # or random weights leave nothing of a picture
_MOBILE = {"image_size": 64, **_LOUD}

# Family: its class of models, and the settings of a small one.
TRANSFORMERS = {
    "AIMv2": ("Aimv2Vision", _VIT),
    "BEiT": ("Beit", _VIT),
    "BiT": ("Bit", {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 2],
                    "num_groups": 4}),
    "CLIP": ("CLIPVision", _VIT),
    "ConvNeXt": ("ConvNext", _STAGES),
    "ConvNeXt V2": ("ConvNextV2", _STAGES),
    "CvT": ("Cvt", {"embed_dim": [8, 16, 24], "num_heads": [1, 2, 2], "depth": [1, 2, 3],
                    "cls_token": [False, False, True]}),
    "Data2Vec": ("Data2VecVision", _VIT),
    "DeiT": ("DeiT", _VIT),
    "DETR": ("Detr", {"d_model": 16, "encoder_layers": 2, "decoder_layers": 3,
                      "encoder_attention_heads": 2, "decoder_attention_heads": 2,
                      "encoder_ffn_dim": 32, "decoder_ffn_dim": 32}),
    "DINOv2": ("Dinov2", _VIT),
    "DINOv2 with registers": ("Dinov2WithRegisters", _VIT),
    "DINOv3": ("DINOv3ViT", _VIT | {"num_register_tokens": 4}),
    "DINOv3 ConvNeXt": ("DINOv3ConvNext", _STAGES),
    "Donut Swin": ("DonutSwin", _SWIN),
    "DPT": ("DPT", _VIT | {"neck_hidden_sizes": [8] * 4, "backbone_out_indices": [0, 1, 2, 2]}),
    "EfficientNet": ("EfficientNet", _EFFICIENT | _LOUD),
    "FocalNet": ("FocalNet", {"image_size": 32, "embed_dim": 8, "depths": [1, 2],
                              "focal_levels": [2, 2], "focal_windows": [3, 3]}),
    "GLPN": ("GLPN", _ATTENDING | {"sr_ratios": [4, 2, 1, 1], "decoder_hidden_size": 16}),
    "Hiera": ("Hiera", {"image_size": [64, 64], "embed_dim": 8, "depths": [1, 1, 2, 1],
                        "num_heads": [1, 1, 2, 2]}),
    "I-JEPA": ("IJepa", _VIT),
    "ImageGPT": ("ImageGPT", {"n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 64}),
    "LeViT": ("Levit", {"image_size": 64, "hidden_sizes": [16, 24, 32], "depths": [1, 2, 1],
                        "num_attention_heads": [2, 2, 2], "key_dim": [8, 8, 8]}),
    "MLCD": ("MLCDVision", _VIT),
    "MobileNet V1": ("MobileNetV1", {"image_size": 64, "depth_multiplier": 0.25}),
    "MobileNet V2": ("MobileNetV2", {"image_size": 64, "depth_multiplier": 0.25}),
    "MobileViT": ("MobileViT", _MOBILE | {"hidden_sizes": [16, 24, 32],
                                "neck_hidden_sizes": [8, 8, 12, 16, 16, 24, 32],
                                "num_attention_heads": 2}),
    "MobileViT V2": ("MobileViTV2", _MOBILE | {"width_multiplier": 0.25}),
    "Pixio": ("Pixio", _VIT),
    "PoolFormer": ("PoolFormer", _STAGES),
    "PVT": ("Pvt", _ATTENDING | {"image_size": 64, "sequence_reduction_ratios": [4, 2, 1, 1]}),
    "PVT v2": ("PvtV2", _ATTENDING | {"image_size": 64}),
    "RegNet": ("RegNet", _STAGES | {"embedding_size": 8, "groups_width": 4}),
    "ResNet": ("ResNet", _STAGES | {"embedding_size": 8}),
    "SAM": ("SamVision", _VIT | {"output_channels": 16, "window_size": 2,
                                 "global_attn_indexes": [1], "mlp_dim": 32}),
    "SegFormer": ("Segformer", _ATTENDING | {"sr_ratios": [4, 2, 1, 1]}),
    "SigLIP": ("SiglipVision", _VIT),
    "SigLIP 2 (NaFlex)": ("Siglip2Vision", {"num_patches": 16, **_VIT}),
    "SwiftFormer": ("SwiftFormer", {"image_size": 64, "depths": [1, 2, 1, 1],
                                    "embed_dims": [8, 12, 16, 24]}),
    "Swin": ("Swin", _SWIN),
    "Swin V2": ("Swinv2", _SWIN),
    "TextNet": ("TextNet", {}),
    "VideoMAE": ("VideoMAE", _VIT),
    "ViT": ("ViT", _VIT),
    "ViT-MAE": ("ViTMAE", _VIT),
    "ViT-MSN": ("ViTMSN", _VIT),
    "ViTDet": ("VitDet", {"hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2,
                          "image_size": 32, "patch_size": 8, "pretrain_image_size": 32}),
    "YOLOS": ("Yolos", _VIT | {"image_size": [32, 32], "num_detection_tokens": 5}),
}  # fmt: skip

_SMALL = {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 3, "num_heads": 2}
_WINDOWS = {"img_size": 64, "patch_size": 2, "embed_dim": 8, "depths": (1, 2), "num_heads": (2, 2)}
_PYRAMID = {"depths": (1, 1, 1, 1), "embed_dims": (8, 16, 24, 32)}

# Family: timm's name of a model, the arguments that make it small, and the side of its pictures.
TIMM = {
    "BEiT": ("beit_base_patch16_224", _SMALL, 32),
    "CaiT": ("cait_xxs24_224", _SMALL, 32),
    "CoaT": ("coat_tiny", {"img_size": 64}, 64),
    "CoaT-Lite": ("coat_lite_tiny", {"img_size": 64}, 64),
    "CoAtNet": ("coatnet_nano_rw_224", {"img_size": 64}, 64),
    "ConViT": ("convit_tiny", _SMALL | {"local_up_to_layer": 2}, 32),
    "ConvNeXt": ("convnext_atto", {"depths": (1, 1, 1, 1), "dims": (8, 12, 16, 24)}, 64),
    "CrossViT": ("crossvit_9_240", {"img_size": 240}, 240),
    "DaViT": ("davit_tiny", _PYRAMID | {"num_heads": (1, 2, 2, 2)}, 64),
    "DeiT (distilled)": ("deit_tiny_distilled_patch16_224", _SMALL, 32),
    "DenseNet": ("densenet121", {"growth_rate": 4, "block_config": (1, 1, 1, 1)}, 64),
    "DLA": ("dla34", {"channels": (8, 8, 8, 16, 16, 32)}, 64),
    "DINOv2 with registers": ("vit_small_patch14_reg4_dinov2", _SMALL, 32),
    "DINOv3": ("vit_small_patch16_dinov3", _SMALL, 32),
    "EdgeNeXt": ("edgenext_xx_small", {"dims": (8, 16, 24, 32)}, 64),
    "EfficientFormer": ("efficientformer_l1", {"embed_dims": (8, 16, 24, 32)}, 224),
    "EfficientFormer V2": ("efficientformerv2_s0", {"img_size": 64}, 64),
    "EfficientNet": ("efficientnet_b0", {}, 64),
    "EVA-02": ("eva02_tiny_patch14_224", _SMALL, 32),
    "GhostNet": ("ghostnet_050", {}, 64),
    "gMLP": ("gmlp_ti16_224", {"img_size": 64}, 64),
    "Hiera": ("hiera_tiny_224", {"img_size": (64, 64), "embed_dim": 16, "num_heads": 1}, 64),
    "HRNet": ("hrnet_w18_small", {}, 64),
    "Inception V3": ("inception_v3", {}, 96),
    "LeViT": ("levit_128s", {"img_size": 64}, 64),
    "MambaOut": ("mambaout_femto", {"depths": (1, 1, 1, 1)}, 64),
    "MaxViT": ("maxvit_tiny_tf_224", {"img_size": 64}, 64),
    "MLP-Mixer": ("mixer_s32_224", {"img_size": 64}, 64),
    "MobileNet V3": ("mobilenetv3_small_050", {}, 64),
    "MobileViT": ("mobilevit_xxs", {}, 64),
    "MViT v2": ("mvitv2_tiny", {"img_size": 64}, 64),
    "NaFlexViT": ("naflexvit_base_patch16_gap", {"embed_dim": 16, "depth": 3, "num_heads": 2}, 64),
    "NesT": ("nest_tiny", {"img_size": 64}, 64),
    "NFNet": ("nfnet_l0", {}, 64),
    "PiT": ("pit_ti_224", {"img_size": 64}, 64),
    "PiT (distilled)": ("pit_ti_distilled_224", {"img_size": 64}, 64),
    "PoolFormer": ("poolformer_s12", {}, 64),
    "PVT v2": ("pvt_v2_b0", {}, 64),
    "RegNet": ("regnetx_002", {}, 64),
    "ResMLP": ("resmlp_12_224", {"img_size": 64}, 64),
    "ResNet": ("resnet10t", {}, 64),
    "ResNet V2": ("resnetv2_18", {}, 64),
    "SAM": ("samvit_base_patch16_224", _SMALL | {"window_size": 2,
                                                 "global_attn_indexes": (1,)}, 32),
    "Sequencer": ("sequencer2d_s", {"img_size": 64, "layers": (1, 1, 1, 1)}, 64),
    "Swin": ("swin_tiny_patch4_window7_224", _WINDOWS | {"window_size": 4}, 64),
    "Swin V2": ("swinv2_tiny_window8_256", _WINDOWS | {"window_size": 4}, 64),
    "Swin V2 (CR)": ("swinv2_cr_tiny_224", _WINDOWS | {"window_size": 4}, 64),
    "TNT": ("tnt_s_patch16_224", {"img_size": 32, "patch_size": 8, "embed_dim": 16,
                                 "inner_dim": 8, "depth": 3, "num_heads_outer": 2,
                                 "num_heads_inner": 2}, 32),
    "Twins-PCPVT": ("twins_pcpvt_small", {"img_size": 64, "depths": (1, 1, 2, 1)}, 64),
    "VGG": ("vgg11", {"mlp_ratio": 0.01}, 64),
    "ViT": ("vit_tiny_patch16_224", _SMALL, 32),
    "ViT (CLIP)": ("vit_base_patch16_clip_224", _SMALL, 32),
    "ViT (hybrid)": ("vit_tiny_r_s16_p8_224", {"img_size": 64, "embed_dim": 16, "depth": 3,
                                               "num_heads": 2}, 64),
    "ViT (relative positions)": ("vit_relpos_small_patch16_224", _SMALL, 32),
    "ViT (SigLIP)": ("vit_base_patch16_siglip_224", _SMALL, 32),
    "VOLO": ("volo_d1_224", {"img_size": 64}, 64),
    "XCiT": ("xcit_nano_12_p16_224", {"img_size": 32, "embed_dim": 16, "depth": 3,
                                     "num_heads": 2}, 32),
}  # fmt: skip


def save_transformers(family: str, folder: Path) -> int:
    """Save a small network of transformers; returns the side of its pictures in pixels."""
    name, settings = TRANSFORMERS[family]
    torch.manual_seed(0)
    model = getattr(tf, f"{name}Model")(getattr(tf, f"{name}Config")(**settings))
    model.save_pretrained(folder)
    side = settings.get("image_size", 64)
    return side if isinstance(side, int) else side[0]


def save_timm(family: str, folder: Path) -> int:
    """Save a small network of timm; returns the side of its pictures in pixels."""
    name, arguments, side = TIMM[family]
    torch.manual_seed(0)
    arguments = {"num_classes": 0} | arguments
    model = timm.create_model(name, **arguments)
    folder.mkdir()
    config = {"architecture": name, "model_args": arguments}
    config["pretrained_cfg"] = {"input_size": [3, side, side]}
    (folder / "config.json").write_text(json.dumps(config))
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    return side


def check_section(file: Path, section: str, lines: list[str]) -> None:
    """Hold what stands in a page between the two marks of a section against `lines`.

    With STRATA_REWRITE=1 in the environment the lines are written there instead.
    """
    start, end = f"<!-- {section} -->\n", f"<!-- end of {section} -->"
    head, _, rest = file.read_text().partition(start)
    told, _, tail = rest.partition(end)
    found = "\n".join(["", *lines, "", ""])
    if os.environ.get("STRATA_REWRITE") == "1":
        file.write_text(head + start + found + end + tail)
    else:
        assert told.splitlines() == found.splitlines(), f"{file.name}: {section} is out of date"
