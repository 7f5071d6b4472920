/* SPDX-License-Identifier: MIT */
/* Every fuzzer is this one function around a module that does no I/O. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);
