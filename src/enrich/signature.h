/* SPDX-License-Identifier: MIT */
/* The signature that a kernel module carries behind its last byte: who signed it. Whether it is right only the kernel
 * can say, which has the keys. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#define SIGNER_MAX 128

/* 1: there is one, and its signer's name is written, "-" if it has none; 0: there is none; -errno. */
int signature_of_file(int file, char signer[SIGNER_MAX]);

/* The signer that a PKCS#7 block names: common name of the certificate's issuer, else the key's number in hex.
 * 0 or -EBADMSG. Pure. */
int signature_signer(const uint8_t *block, size_t n, char signer[SIGNER_MAX]);
