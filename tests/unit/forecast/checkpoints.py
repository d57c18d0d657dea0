"""Tiny checkpoints with weights of chance, in the files of the published ones; what they forecast means nothing."""

import json

LONGEST = 8


def _settle():
    import torch

    torch.manual_seed(5)


def bolt(folder):
    """Write a Chronos-Bolt."""
    from chronos.chronos_bolt import ChronosBoltModelForForecasting
    from transformers import T5Config

    _settle()
    config = T5Config(
        vocab_size=2, d_model=16, d_kv=4, d_ff=16, num_layers=1, num_decoder_layers=1, num_heads=2, pad_token_id=0,
        decoder_start_token_id=0, dropout_rate=0.1, chronos_pipeline_class="ChronosBoltPipeline",
        chronos_config={
            "context_length": 128, "prediction_length": LONGEST, "input_patch_size": 8, "input_patch_stride": 8,
            "quantiles": [round(0.1 * it, 1) for it in range(1, 10)], "use_reg_token": True,
        },
    )  # fmt: skip
    return _written(ChronosBoltModelForForecasting(config), folder)


def t5(folder):
    """Write a Chronos of the first kind, which samples."""
    from transformers import GenerationConfig, T5Config, T5ForConditionalGeneration

    _settle()
    config = T5Config(
        vocab_size=64, d_model=16, d_kv=4, d_ff=16, num_layers=1, num_decoder_layers=1, num_heads=2, pad_token_id=0,
        eos_token_id=1, decoder_start_token_id=0,
        chronos_config={
            "tokenizer_class": "MeanScaleUniformBins", "tokenizer_kwargs": {"low_limit": 0.5, "high_limit": 1.5},
            "n_tokens": 64, "n_special_tokens": 2, "pad_token_id": 0, "eos_token_id": 1, "use_eos_token": True,
            "model_type": "seq2seq", "context_length": 64, "prediction_length": LONGEST, "num_samples": 20,
            "temperature": 1.0, "top_k": 50, "top_p": 1.0,
        },
    )  # fmt: skip
    model = T5ForConditionalGeneration(config)
    model.generation_config = GenerationConfig(pad_token_id=0, eos_token_id=1, decoder_start_token_id=0)
    return _written(model, folder)


def chronos2(folder):
    """Write a Chronos-2."""
    from chronos.chronos2 import Chronos2Model
    from chronos.chronos2.config import Chronos2CoreConfig

    _settle()
    config = Chronos2CoreConfig(
        d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2, chronos_pipeline_class="Chronos2Pipeline",
        chronos_config={
            "context_length": 128, "input_patch_size": 8, "input_patch_stride": 8, "output_patch_size": 8,
            "max_output_patches": 1, "use_reg_token": True, "use_arcsinh": True,
            "quantiles": [0.01, 0.05, *(round(0.1 * it, 1) for it in range(1, 10)), 0.95, 0.99],
        },
    )  # fmt: skip
    return _written(Chronos2Model(config), folder)


def timesfm2(folder):
    """Write a TimesFM 2.0."""
    from transformers import TimesFmConfig, TimesFmModelForPrediction

    _settle()
    config = TimesFmConfig(
        patch_length=32, context_length=256, horizon_length=LONGEST, num_hidden_layers=1, hidden_size=16,
        intermediate_size=16, head_dim=8, num_attention_heads=2,
    )  # fmt: skip
    return _written(TimesFmModelForPrediction(config), folder)


def timesfm25(folder):
    """Write a TimesFM 2.5."""
    from transformers import TimesFm2_5Config, TimesFm2_5ModelForPrediction

    _settle()
    config = TimesFm2_5Config(
        patch_length=32, context_length=256, horizon_length=LONGEST, num_hidden_layers=1, hidden_size=16,
        intermediate_size=16, head_dim=8, num_attention_heads=2, num_key_value_heads=2, output_quantile_len=LONGEST,
    )  # fmt: skip
    return _written(TimesFm2_5ModelForPrediction(config), folder)


WRITERS = {
    "bolt": ("chronos", bolt), "t5": ("chronos", t5), "chronos2": ("chronos", chronos2),
    "timesfm2": ("timesfm", timesfm2), "timesfm25": ("timesfm", timesfm25),
}  # fmt: skip
"""By kind: the model's name, and what writes one to a folder."""


def _written(model, folder):
    model.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == [type(model).__name__]
    return folder
