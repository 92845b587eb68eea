/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options that `qemu-img measure` 7.2 accepts and convert refuses, or the other way round:
 * REFUSED(target, options, message), or TAKEN(target, options, other options of the same effect).
 * Included by tests/unit/formats/targets/conversion-options.c, which defines both macros, and read
 * by tests/oracle/convert-sizes.py, which runs qemu-img with each row.
 */
/* clang-format off */
REFUSED("raw", "compressed=on", "Invalid parameter 'compressed'")
REFUSED("vmdk", "compressed=on", "Invalid parameter 'compressed'")
REFUSED("qcow2", "compat=foo", "Parameter 'version' does not accept value 'foo'")
REFUSED("qcow2", "compat=0.10,extended_l2=on", "Extended L2 entries are only supported with compatibility level 1.1 and above (use version=v3 or greater)")
REFUSED("qcow2", "compat=0.10,lazy_refcounts=on", "Lazy refcounts only supported with compatibility level 1.1 and above (use version=v3 or greater)")
REFUSED("qcow2", "compat=0.10,refcount_bits=8", "Different refcount widths than 16 bits require compatibility level 1.1 or above (use version=v3 or greater)")
REFUSED("qcow2", "compat=0.10,compression_type=zstd", "Non-zlib compression type is only supported with compatibility level 1.1 and above (use version=v3 or greater)")
REFUSED("qcow2", "compression_type=foo", "Parameter 'compression-type' does not accept value 'foo'")
REFUSED("qcow2", "preallocation=foo", "Parameter 'preallocation' does not accept value 'foo'")
REFUSED("qcow2", "preallocation=foo,compat=foo,cluster_size=3", "Parameter 'version' does not accept value 'foo'")
REFUSED("qcow2", "refcount_bits=3,cluster_size=3", "Cluster size must be a power of two between 512 and 2048k")
REFUSED("qcow2", "refcount_bits=3,compat=0.10", "Refcount width must be a power of two and may not exceed 64 bits")
REFUSED("qcow2", "extended_l2=on,cluster_size=4k", "Extended L2 entries are only supported with cluster sizes of at least 16384 bytes")
REFUSED("qcow2", "encryption=on,encrypt.format=luks", "'encrypt.format' and its alias 'encryption' can't be used at the same time")
REFUSED("qcow2", "encrypt.format=foo", "Parameter 'format' does not accept value 'foo'")
REFUSED("qcow2", "encrypt.key-secret=x", "Parameter 'encrypt.format' is missing")
REFUSED("qcow2", "encrypt.cipher-alg=aes-256", "Parameter 'encrypt.format' is missing")
REFUSED("qcow2", "encrypt.format=aes,encrypt.cipher-alg=aes-256", "Parameter 'encrypt.cipher-alg' is unexpected")
REFUSED("qcow2", "encrypt.format=luks,encrypt.cipher-alg=foo", "Parameter 'cipher-alg' does not accept value 'foo'")
REFUSED("qcow2", "data_file_raw=on", "data-file-raw requires data-file")
REFUSED("qcow2", "backing_fmt=raw", "Backing format cannot be used without backing file")
REFUSED("qcow2", "compressed=on,preallocation=metadata", "Compression and preallocation not supported at the same time")
REFUSED("qcow2", "compressed=on,preallocation=foo", "Compression and preallocation not supported at the same time")
REFUSED("qcow2", "compressed=on,encryption=on", "Compression and encryption not supported at the same time")
REFUSED("qcow2", "compressed=on,encrypt.format=luks", "Compression and encryption not supported at the same time")
REFUSED("qcow", "compressed=on,encryption=on", "Compression and encryption not supported at the same time")
REFUSED("raw", "preallocation=foo", "invalid parameter value: foo")
REFUSED("raw", "preallocation=metadata", "Unsupported preallocation mode: metadata")
REFUSED("luks", "preallocation=foo", "invalid parameter value: foo")
TAKEN("qcow2", "compat=v3", "compat=1.1")
TAKEN("qcow2", "compat=v2", "compat=0.10")
TAKEN("qcow2", "compressed=off,preallocation=off", "nocow=on,size=1G")
TAKEN("qcow2", "compressed,compression_type=zlib", "compressed=on,lazy_refcounts=on")
TAKEN("qcow", "compressed", "compressed=on,preallocation=full")
