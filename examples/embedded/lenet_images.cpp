// SPDX-License-Identifier: Apache-2.0
// The first 100 images and labels, as they lie behind the 128 bytes of their files' headers.
// PTQ_LENET is the folder of the model.
#include "lenet_images.hpp"

asm(".pushsection .rodata\n"
    ".balign 8\n"
    ".global lenet_images\n"
    "lenet_images: .incbin \"" PTQ_LENET
    "/test_images.npy\", 128, 100 * 28 * 28\n"
    ".global lenet_labels\n"
    ".balign 8\n"
    "lenet_labels: .incbin \"" PTQ_LENET
    "/test_labels.npy\", 128, 100 * 8\n"
    ".popsection");
