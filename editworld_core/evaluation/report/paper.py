"""The numbers of EditWorld (Yang et al., arXiv 2405.14785): its tables of CLIP score, MLLM score and LPIPS.

They are of the paper's own models, data set and, as far as it says, CLIP ViT-L/14; "MGIE" and the others are the
methods that it compares with.
"""

from collections.abc import Mapping

SOURCE = "Yang et al., EditWorld, arXiv 2405.14785, tables of section 4"
CLIP_MODEL = "openai/clip-vit-large-patch14"
BRANCHES: Mapping[str, str] = {"text_to_image": "Text-to-image", "video": "Video", "simulation": "Simulation"}

METHODS = ("InstructPix2Pix", "MagicBrush", "MGIE", "EditWorld", "EditWorld, no post-edit")

CLIP_SCORE: Mapping[tuple[str, str], tuple[float, ...]] = {
    ("text_to_image", "Long-Term"): (0.2140, 0.1870, 0.1863, 0.2244, 0.2294),
    ("text_to_image", "Physical-Trans"): (0.2186, 0.2101, 0.2286, 0.2385, 0.2467),
    ("text_to_image", "Implicit-Logic"): (0.2390, 0.2432, 0.2350, 0.2542, 0.2440),
    ("text_to_image", "Story-Type"): (0.2063, 0.2070, 0.2084, 0.2534, 0.2354),
    ("text_to_image", "Real-to-Virtual"): (0.2285, 0.2344, 0.2305, 0.2524, 0.2435),
    ("video", "Spatial-Trans"): (0.2175, 0.1997, 0.2157, 0.2420, 0.2286),
    ("video", "Physical-Trans"): (0.2315, 0.2278, 0.2277, 0.2467, 0.2483),
    ("video", "Story-Type"): (0.2318, 0.2262, 0.2155, 0.2365, 0.2399),
    ("video", "Exaggeration"): (0.2416, 0.2328, 0.2208, 0.2443, 0.2433),
}
"""Mean CLIP score of the edited picture and the output description, by branch and category, in the order of METHODS."""

MLLM_SCORE: Mapping[str, tuple[float, ...]] = {
    "text_to_image": (0.8763, 0.8455, 0.8173, 0.8958, 0.9060),
    "video": (0.9493, 0.9715, 0.9474, 0.9920, 0.9891),
}
"""Mean of the 1s and 0s of a vision-language model by branch, in the order of METHODS."""

LPIPS: Mapping[str, tuple[float, float]] = {
    "InstructPix2Pix": (0.3929, 0.3465),
    "MagicBrush": (0.2397, 0.2358),
    "EditWorld": (0.3778, 0.3082),
}
"""Mean LPIPS between the edited picture and the original without and with post-edit: 50 traditional edits."""
