"""What one installation of trovid is asked to time, by another one: one request a line on stdin.

Runs by its own text alone (`python -c`), so that it works with another version of trovid: only
names that versions share are used, and each finds them in its own packages.
"""

from __future__ import annotations

import json
import sys
import time


def operator(job):
    """The operator at a size; returns what to run and what its result is held by."""
    import torch

    from trovid.benchmarks.inputs import OperatorSize, make_inputs
    from trovid.ops import temporal_roi_align

    size = OperatorSize(**job["size"])
    inputs = make_inputs(size)
    leaves = [leaf.requires_grad_(job["backward"]) for leaf in inputs.leaves().values()]

    def run():
        output = temporal_roi_align(
            inputs.features,
            inputs.support.unsqueeze(0),
            [inputs.boxes],
            size.grid,
            1 / size.stride,
            size.sampling_ratio,
            top_k=size.top_k,
            num_heads=0 if inputs.weight is None else size.heads,
            weight=inputs.weight,
            bias=inputs.bias,
        )
        if not job["backward"]:
            return [output]
        return [output.detach(), *torch.autograd.grad(output, leaves, inputs.grad_output)]

    return run, run()


def video(job):
    """The next frame of a clip from its pixels to detections, or encoding a support frame."""
    from trovid.benchmarks.video_subject import (
        clip,
        moving_frames,
        random_detector,
        subject_recipe,
    )
    from trovid.inference import Predictor

    recipe = subject_recipe(job["recipe"], quick=job["quick"])
    predictor = Predictor(random_detector(recipe), recipe, device="cpu", precision=job["precision"])
    if job["part"] == "support frame":
        frames = moving_frames(1, recipe.image.shorter, recipe.image.longer)
        maps = predictor.encode(frames).maps.values()
        return lambda: predictor.encode(frames), [packed.rows for packed in maps]
    pixels = clip(recipe, 24)
    found = []

    def run():
        if not found:
            found.append(predictor.detect(pixels, score=0.0, nms=1.0, max_detections=1000))
            next(found[0])
        detections = next(found[0], None)
        if detections is None:
            found.clear()
            return run()
        return [detections.scores]

    return run, run()


def training(job):
    """A training step of a recipe, in float32; the losses of the first two hold it."""
    from dataclasses import replace

    import torch

    from trovid.benchmarks.training import generated_batch
    from trovid.benchmarks.video_subject import subject_recipe
    from trovid.training.loop import initial_detector, make_optimizer, training_step

    recipe = subject_recipe(job["recipe"])
    settings = replace(recipe.training, bfloat16=False)
    detector = initial_detector(recipe, seed=0, start=None).train()
    optimizer = make_optimizer(detector, settings)
    batch = generated_batch(recipe, 0)

    def run():
        return training_step(detector, optimizer, batch, settings)

    torch.manual_seed(0)
    return run, [torch.as_tensor(loss) for _ in range(2) for _, loss in sorted(run().items())]


def sample(values):
    """At most 20,000 of them, evenly spaced; an odd step meets every channel."""
    return values[:: len(values) // 20000 | 1][:20000]


def serve():
    """Answers until stdin ends: first `prepare` with a job, then `run` again and again."""
    answers, sys.stdout = sys.stdout, sys.stderr
    run = list
    for line in sys.stdin:
        request = json.loads(line)
        if request == "run":
            began = time.perf_counter()
            result = run()
            answer = time.perf_counter() - began
            del result
        else:
            import torch

            torch.set_num_threads(request["threads"])
            kinds = {"operator": operator, "video": video, "training": training}
            run, tensors = kinds[request["kind"]](request)
            answer = [sample(tensor.double().flatten()).tolist() for tensor in tensors]
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    serve()
