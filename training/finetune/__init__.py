"""Fine-tuning of InstructPix2Pix-style UNets of Stable Diffusion 1.5 and XL."""
