/* SPDX-License-Identifier: MIT */
/* IMPHASH for ELF: MD5 over the comma-joined, lower-cased, sorted names of the undefined dynamic symbols.
 * All zeros for any other file, as Windows does for a file that is not PE. */
#pragma once
#include <openssl/evp.h>
#include <stdint.h>

void imphash_of_file(int file, EVP_MD_CTX *context, const EVP_MD *md5, uint8_t digest[16]);
