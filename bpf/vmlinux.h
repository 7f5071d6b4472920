/* SPDX-License-Identifier: MIT OR GPL-2.0-only */
/* The kernel, as far as we lean on it: each structure holds only the members that are read. Offsets and
 * sizes are put right by libbpf when the programs are loaded (CO-RE), so order and gaps mean nothing here.
 * A member that is not in every kernel from 5.17 on belongs into lib/flavours.bpf.h.
 * tools/check-vmlinux compares this file with a running kernel. */
#ifndef __VMLINUX_H__
#define __VMLINUX_H__

#include <linux/bpf.h> /* the user-space interface: stable, so the installed one serves */

typedef _Bool bool;
#define true 1
#define false 0
#define NULL ((void *)0)

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

/* --- basics */
typedef struct { int counter; } atomic_t;
typedef struct { __u32 val; } kuid_t;
typedef struct { __u32 val; } kgid_t;

struct hlist_node { struct hlist_node *next, **pprev; };
struct hlist_head { struct hlist_node *first; };
struct hlist_bl_node { struct hlist_bl_node *next, **pprev; };
struct list_head { struct list_head *next, *prev; };

struct pt_regs {
	unsigned long r10, r8, dx, si, di, bp, bx, cx, ax, orig_ax, ip;
};

/* --- tasks */
struct user_namespace { int level; };
struct cred {
	kuid_t euid;
	kgid_t egid;
	struct user_namespace *user_ns;
};

struct maple_tree { void *ma_root; };
struct maple_range_64 { unsigned long pivot[15]; void *slot[16]; };
struct maple_arange_64 { unsigned long pivot[9]; void *slot[10]; };

struct mm_struct {
	struct maple_tree mm_mt;
	atomic_t mm_users;
	unsigned long start_code, end_code, arg_start, arg_end;
	struct file *exe_file;
};

struct vm_area_struct {
	unsigned long vm_start, vm_end;
	struct mm_struct *vm_mm;
	unsigned long vm_flags;
	struct file *vm_file;
};

struct signal_struct {
	atomic_t live;
	int nr_threads;
	int group_exit_code;
	unsigned int flags;
};

struct path {
	struct vfsmount *mnt;
	struct dentry *dentry;
};
struct fs_struct { struct path root, pwd; };
struct ns_common { unsigned int inum; };
struct mnt_namespace { struct ns_common ns; };
struct pid_namespace { struct ns_common ns; };
struct upid { struct pid_namespace *ns; };
struct pid {
	unsigned int level;
	struct hlist_head tasks[4];
	struct upid numbers[1];
};
struct kernfs_node { const char *name; };
struct cgroup { struct kernfs_node *kn; };
struct css_set { struct cgroup *dfl_cgrp; };
struct nsproxy { struct mnt_namespace *mnt_ns; };
struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};
struct files_struct {
	atomic_t count;
	struct fdtable *fdt;
};
struct seccomp { int mode; };
struct thread_info {
	unsigned long flags;
	__u32 status;
};

struct task_struct {
	struct thread_info thread_info;
	unsigned int flags, personality;
	unsigned int in_execve : 1;
	int exit_code;
	unsigned long atomic_flags;
	int pid, tgid;
	struct task_struct *real_parent, *group_leader;
	__u64 start_boottime;
	__u64 self_exec_id;
	const struct cred *cred;
	struct mm_struct *mm;
	struct fs_struct *fs;
	struct files_struct *files;
	struct nsproxy *nsproxy;
	struct pid *thread_pid;
	struct css_set *cgroups;
	struct signal_struct *signal;
	kuid_t loginuid;
	unsigned int sessionid;
	struct seccomp seccomp;
	void *worker_private;
	struct hlist_node pid_links[4];
};

struct bpf_iter_meta { struct seq_file *seq; };
struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};

struct linux_binprm {
	struct file *file;
	const char *filename, *interp;
};

/* --- files */
struct qstr {
	__u32 hash;
	__u32 len;
	const unsigned char *name;
};
struct lockref { int count; };
struct dentry {
	struct hlist_bl_node d_hash;
	struct dentry *d_parent;
	struct qstr d_name;
	struct inode *d_inode;
	struct super_block *d_sb;
	struct lockref d_lockref;
	union { struct hlist_node d_alias; } d_u;
};
struct inode {
	unsigned short i_mode;
	struct super_block *i_sb;
	unsigned long i_ino;
	unsigned int i_nlink;
	__s64 i_size;
	__u32 i_generation;
	__u32 i_rdev;
	struct hlist_head i_dentry;
	void *i_private;
};
struct file_system_type { int fs_flags; };
struct super_block {
	__u32 s_dev;
	struct file_system_type *s_type;
	unsigned long s_magic;
	int s_stack_depth;
};
struct vfsmount {
	struct dentry *mnt_root;
	struct super_block *mnt_sb;
};
struct mount {
	struct mount *mnt_parent;
	struct dentry *mnt_mountpoint;
	struct vfsmount mnt;
	struct mnt_namespace *mnt_ns;
};
struct file {
	unsigned int f_mode, f_flags;
	long long f_pos;
	void *private_data;
	struct inode *f_inode;
	struct path f_path;
};
struct proc_inode {
	struct pid *pid;
	struct inode vfs_inode;
};
struct renamedata {
	struct dentry *old_dentry, *new_dentry;
	unsigned int flags;
};
struct open_flags { int open_flag; };

/* --- io_uring */
struct io_wq_work { int cancel_seq; };
struct io_worker { struct io_wq_work *cur_work; };
struct io_cqe { __s32 res; };
struct io_cmd_data { struct file *file; };
struct io_kiocb {
	union { struct io_cmd_data cmd; };
	__u8 opcode;
	__u64 flags;
	struct io_cqe cqe;
	struct io_ring_ctx *ctx;
	struct io_wq_work work;
};
struct open_how { __u64 flags; };
struct io_open {
	__u32 file_slot;
	struct open_how how;
};
struct io_rsrc_node { unsigned long file_ptr; };
struct io_rsrc_data {
	unsigned int nr;
	struct io_rsrc_node **nodes;
};
struct io_file_table { struct io_rsrc_data data; };
struct io_ring_ctx { struct io_file_table file_table; };

/* --- modules */
struct module { char name[56]; };

/* --- programs like ours */
struct bpf_prog_aux { char name[16]; };
struct bpf_prog {
	enum bpf_prog_type type;
	struct bpf_prog_aux *aux;
};
struct bpf_link { struct bpf_prog *prog; };

/* --- sockets */
struct in6_addr { union { __u8 u6_addr8[16]; } in6_u; };
struct net;
typedef struct { struct net *net; } possible_net_t;
struct sock_common {
	__u32 skc_daddr, skc_rcv_saddr;
	__u16 skc_dport, skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	struct in6_addr skc_v6_daddr, skc_v6_rcv_saddr;
	possible_net_t skc_net;
};
struct sock {
	struct sock_common __sk_common;
	__u16 sk_type;
	__u16 sk_protocol;
	struct socket *sk_socket;
};
struct inet_sock { __u16 inet_sport; };
struct socket { struct sock *sk; };
struct sockaddr_un { char sun_path[108]; };
struct unix_address {
	int len; /* with the family before the path */
	struct sockaddr_un name[0];
};
struct unix_sock {
	struct unix_address *addr;
	struct path path;
	struct sock *peer;
};
struct sk_buff {
	struct sock *sk;
	__u16 protocol;
	__u16 transport_header, network_header;
	unsigned char *head;
};

#pragma clang attribute pop

#endif
