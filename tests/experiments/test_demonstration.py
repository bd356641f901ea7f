"""The demo's parts that no embedded model is needed for."""

from __future__ import annotations

from tests.cli.tiny_model import save_tiny_model
from trovid.experiments import demonstration
from trovid.video.opening import open_video


def test_a_segmented_clip(tmp_path):
    model = save_tiny_model(tmp_path / "tiny.safetensors", name="synthvid-masktrack-troi")
    shown = demonstration.segmented_clip(tmp_path / "out", model, show_progress=False)
    clip = tmp_path / "out" / "clips" / "test" / shown.name
    assert shown.with_suffix(".youtube-vis.json").is_file()
    assert len(open_video(shown)) == len(open_video(clip))
    again = demonstration.segmented_clip(tmp_path / "out", model, show_progress=False)
    assert again == shown
