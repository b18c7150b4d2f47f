# Sourced by the scripts that make images.

PATH=$PATH:/usr/sbin:/sbin # ldconfig and haproxy: an ordinary Debian user has neither folder in the PATH

as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# present IMAGE: the engine has it.
present() { docker image inspect "$1" >/dev/null 2>&1; }

# packages NAME...: installs what is missing.
packages() {
	local missing=() p
	command -v apt-get >/dev/null || { echo "no registry gives the image, and there is no apt-get to get $* with" >&2; return 1; }
	for p in "$@"; do
		dpkg -s "$p" 2>/dev/null | grep -q '^Status: .* installed' || missing+=("$p")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	as_root apt-get update -qq
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
}

# new_root DIR: an empty root folder that any user may enter.
new_root() {
	mkdir -p "$1"/{bin,etc,tmp,var/lib}
	chmod 755 "$1"
	chmod 1777 "$1/tmp"
	printf 'hosts: files dns\n' >"$1/etc/nsswitch.conf"
	printf 'root:x:0:0:root:/root:/bin/sh\n' >"$1/etc/passwd"
	printf 'root:x:0:\n' >"$1/etc/group"
}

# add_busybox DIR: a shell and small tools, as the Alpine variants of official images have them.
add_busybox() {
	local name
	cp "$(command -v busybox)" "$1/bin/busybox"
	for name in $("$1/bin/busybox" --list); do
		[ "$name" = busybox ] || ln -sf busybox "$1/bin/$name"
	done
}

# add_program DIR PROGRAM TARGET: PROGRAM as TARGET, with the shared libraries it names and those that glibc loads by
# itself to resolve names.
add_program() {
	local library
	install -D -m 755 "$2" "$1/$3"
	{
		ldd "$2" | awk '/=> \// {print $3} /^[[:space:]]*\/lib/ {print $1}'
		ldconfig -p | awk '/lib(nss_dns|nss_files|resolv|gcc_s)\.so/ {print $NF}'
	} | sort -u | while read -r library; do
		install -D "$(readlink -f "$library")" "$1/$library"
	done
}

# build_image DIR NAME: builds DIR/Dockerfile; what the builder says is shown if it fails.
build_image() {
	if ! docker build -q -t "$2" "$1" >"$1.log" 2>&1; then
		cat "$1.log" >&2
		return 1
	fi
}
