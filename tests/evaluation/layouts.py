"""Small data sets in the layouts of other people's benchmarks, as their repositories have them."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

SIZE = (48, 40)


def drawing(seed: int, size: tuple[int, int] = SIZE) -> Image.Image:
    """A smooth random picture."""
    coarse = np.random.default_rng(seed).integers(0, 255, (4, 4, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    out = io.BytesIO()
    image.save(out, kind)
    return out.getvalue()


def put(path: Path, content: Any) -> Path:
    """Write a picture, bytes, or anything else as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, Image.Image):
        content.save(path)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(json.dumps(content), encoding="utf-8")
    return path


def box_picture(box: tuple[int, int, int, int], size: tuple[int, int] = SIZE) -> Image.Image:
    """White inside ``box`` (left, top, right, bottom; the last ones excluded), black outside."""
    image = Image.new("L", size)
    ImageDraw.Draw(image).rectangle((box[0], box[1], box[2] - 1, box[3] - 1), fill=255)
    return image


def parquet(path: Path, columns: dict[str, list[Any]]) -> Path:
    """A table as ``datasets`` writes it: pictures are structs of bytes and a path."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def cell(value: Any) -> Any:
        return {"bytes": encoded(value), "path": "x.png"} if isinstance(value, Image.Image) else value

    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table({name: [cell(value) for value in cells] for name, cells in columns.items()})
    pq.write_table(table, path, row_group_size=3)
    return path


def paper_test_set(root: Path) -> Path:
    """A list of test items: one with its target, one of the video branch without."""
    put(root / "generated_img/group_0/sample0_ori.png", drawing(1))
    put(root / "generated_img/group_0/sample0_tar.png", drawing(2))
    put(root / "video_img/group_0/sample3_ori.png", drawing(3))
    records = [
        {
            "instuction": "What happens if it rains?",
            "original_img_path": "datasets/editworld/generated_img/group_0/sample0_ori.png",
            "target_img_path": "datasets/editworld/generated_img/group_0/sample0_tar.png",
            "original_caption": "a dry road",
            "target_cation": "a wet road",
            "key_words": "road",
            "category": "Implicit-Logic",
        },
        {
            "instuction": "Turn it on its back.",
            "original_img_path": "datasets/editworld/video_img/group_0/sample3_ori.png",
            "target_img_path": "datasets/editworld/video_img/group_0/sample3_tar.png",
            "target_cation": "a watch on its back",
        },
    ]
    put(root / "test.json", records)
    return root


def risebench(root: Path) -> Path:
    """The hub's layout: a list above ``data``."""
    put(root / "data/temporal_reasoning_images/1.png", drawing(1))
    put(root / "data/spatial_reasoning_images/2.png", drawing(2))
    put(root / "data/spatial_reasoning_images/2_ref.png", drawing(3, (96, 80)))
    records = [
        {
            "index": "temporal_reasoning_1",
            "category": "temporal_reasoning",
            "instruction": "Draw what it will look like a year later.",
            "image": "temporal_reasoning_images/1.png",
            "reference": "A rotten banana.",
            "subtask": "Life Progression",
        },
        {
            "index": "spatial_reasoning_2",
            "category": "spatial_reasoning",
            "instruction": "Draw the pen to the right of the mouse.",
            "image": "spatial_reasoning_images/2.png",
            "reference_img": "spatial_reasoning_images/2_ref.png",
            "subtask": "Object Arrangement",
        },
    ]
    put(root / "datav2_total_w_subtask.json", records)
    return root


def risebench_plus(root: Path) -> Path:
    """RISEBench++: lists of pictures beside the JSON."""
    put(root / "causal_reasoning_images/1.png", drawing(1))
    records = [
        {
            "index": "causal_reasoning_1",
            "category": "causal_reasoning",
            "task_type": "structural_damage",
            "instruction": "Draw it after a bite.",
            "image": ["causal_reasoning_images/1.png"],
            "reference_txt": "A bitten apple.",
        },
        {
            "index": "causal_reasoning_6",
            "category": "causal_reasoning",
            "instruction": "Put the orange of figure 2 on the scale of figure 1.",
            "image": ["causal_reasoning_images/6_1.png", "causal_reasoning_images/6_2.png"],
            "multi_img": "True",
        },
    ]
    put(root / "overall_data.json", records)
    return root


def krisbench(root: Path) -> Path:
    """Three tasks: with a true picture, with several pictures, and with one that is missing."""
    tasks = root / "KRIS_Bench"
    put(tasks / "viewpoint_change/1.jpg", drawing(1))
    put(tasks / "viewpoint_change/1_gt.jpg", drawing(2))
    view = {"ori_img": "1.jpg", "gt_img": "1_gt.jpg", "ins_en": "Draw the top view.", "explain_en": ""}
    put(tasks / "viewpoint_change/annotation.json", {"1": view})
    frames = {"ori_img": ["1-2.jpg", "1-3.jpg"], "gt_img": "1-1.jpg", "ins_en": "Predict frame 1."}
    put(tasks / "temporal_prediction/annotation.json", {"1": frames})
    put(tasks / "physics/2.png", drawing(3))
    physics = {
        "2": {"ori_img": "2.png", "gt_img": "", "ins_en": "Let it fall.", "explain_en": "Gravity pulls."},
        "24": {"ori_img": "24.jpg", "ins_en": "Melt it.", "explain_en": "Heat."},
    }
    put(tasks / "physics/annotation.json", physics)
    return root


def picabench(root: Path) -> Path:
    """``meta_info.json`` with boxes, and without."""
    put(root / "input_img/00000.jpg", drawing(1))
    put(root / "input_img/00001.jpg", drawing(2))
    common = {"physics_category": "Optics", "difficulty": "superficial", "output_path": None}
    question = {"question": "Is a tulip visible?", "answer": "No", "box": {}}
    records = [
        {
            **common,
            "index": 0,
            "input_path": "input_img/00000.jpg",
            "edit_instruction": "Remove the tulip.",
            "physics_law": "Reflection",
            "edit_operation": "remove",
            "annotated_qa_pairs": [question],
            "edit_area": [
                {"x": 4.2, "y": 8.0, "width": 10.0, "height": 6.0, "id": "a", "order": 1},
                {"x": 40, "y": 30, "width": 100, "height": 100, "id": "b", "order": 2},
            ],
        },
        {
            **common,
            "index": 1,
            "input_path": "input_img/00001.jpg",
            "edit_instruction": "Let it freeze.",
            "physics_law": "Global State Transition",
            "edit_operation": "weather",
            "annotated_qa_pairs": [],
            "edit_area": "unknown",
        },
    ]
    put(root / "meta_info.json", records)
    return root


def picabench_parquet(root: Path) -> Path:
    """The hub's layout: pictures in the table, and three prompts."""
    parquet(
        root / "data/picabench-00000-of-00001.parquet",
        {
            "input_image": [drawing(1), drawing(2)],
            "physics_category": ["Optics", "State"],
            "physics_law": ["Reflection", "Global"],
            "edit_operation": ["remove", "weather"],
            "superficial_prompt": ["Remove the tulip.", "Let it freeze."],
            "intermediate_prompt": ["Remove the tulip and its reflection.", "Let it freeze, with frost."],
            "explicit_prompt": ["Remove …", "Let …"],
            "edit_area": ['[{"x": 4, "y": 8, "width": 10, "height": 6}]', "unknown"],
        },
    )
    return root


def magicbrush_archive(root: Path) -> Path:
    """One session of two turns; the mask is the picture itself, transparent where it may change."""
    box = (10, 10, 20, 20)
    images = root / "images/139306"
    before, after, last = (drawing(seed) for seed in (1, 2, 3))
    clear = before.convert("RGBA")
    clear.putalpha(Image.fromarray(255 - np.asarray(box_picture(box))))
    put(images / "139306-input.png", before)
    put(images / "139306-mask1.png", clear)
    put(images / "139306-output1.png", after)
    put(images / "139306-output2.png", last)
    put(images / "139306-mask2.png", box_picture(box).convert("RGB"))
    turns = [
        {
            "input": "139306-input.png",
            "mask": "139306-mask1.png",
            "output": "139306-output1.png",
            "instruction": "Add a cat.",
        },
        {
            "input": "139306-output1.png",
            "mask": "139306-mask2.png",
            "output": "139306-output2.png",
            "instruction": "Make it black.",
        },
    ]
    put(root / "edit_turns.json", turns)
    captions = {"139306": {"139306-input.png": "a sofa", "139306-output1.png": "a cat on a sofa"}}
    put(root / "global_descriptions.json", captions)
    return root


def magicbrush_parquet(root: Path) -> Path:
    """Five rows, in two row groups; the last has no mask."""
    rows = range(5)
    masks = [box_picture((2, 3, 2 + row + 1, 8)).convert("RGB") for row in rows]
    parquet(
        root / "data/dev-00000-of-00001.parquet",
        {
            "img_id": [str(100 + row // 2) for row in rows],
            "turn_index": [1 + row % 2 for row in rows],
            "source_img": [drawing(10 + row) for row in rows],
            "mask_img": [*masks[:-1], None],
            "instruction": [f"edit {row}" for row in rows],
            "target_img": [drawing(20 + row) for row in rows],
        },
    )
    return root


EMU: dict[str, list[Any]] = {
    "idx": [7, 8],
    "hash": ["c0ffee", "bada55"],
    "instruction": ["Add a hat", "Make it snow"],
    "task": ["add", "global"],
    "input_caption": ["a dog", "a street"],
    "output_caption": ["a dog with a hat", "a street in snow"],
}


def emu_parquet(root: Path) -> Path:
    """Emu Edit's columns, with the pictures that Emu Edit made of it."""
    pictures = {"image": [drawing(1), drawing(2)], "edited_image": [drawing(3), drawing(4)]}
    parquet(root / "data/test-00000-of-00001.parquet", {**EMU, **pictures})
    return root


def emu_json(root: Path) -> Path:
    """The same as JSON Lines with the names of the pictures."""
    rows = [dict(zip(EMU, cells, strict=True)) for cells in zip(*EMU.values(), strict=True)]
    for number, row in enumerate(rows):
        put(root / f"images/{number}.png", drawing(number + 1))
        row["image"] = f"images/{number}.png"
    put(root / "rows.jsonl", "\n".join(map(json.dumps, rows)).encode())
    return root
