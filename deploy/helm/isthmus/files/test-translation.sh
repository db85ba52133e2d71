# shellcheck shell=bash
# HOST PORT [IPV4:PORT]: asks DNS64 over TCP for the AAAA of ipv4only.arpa (RFC 7050): only DNS64 gives one, with 192.0.0.170 under
# the translation prefix. Then opens a TCP connection to IPV4:PORT under that prefix, which only NAT64 makes possible.
# Plain bash and coreutils, so that it runs in the image of DNS64 itself.
set -u
exec 3<> "/dev/tcp/$1/$2" || { echo "cannot connect to $1 port $2: are the pods of dns64 ready?"; exit 1; }
printf '\x00\x1f\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x08ipv4only\x04arpa\x00\x00\x1c\x00\x01' >&3
read -r high low < <(timeout 10 head -c 2 <&3 | od -An -tu1)
length=$((${high:-0} * 256 + ${low:-0}))
[ "$length" -gt 12 ] || { echo "no answer from $1 within 10 s"; exit 1; }
reply=$(timeout 10 head -c "$length" <&3 | od -An -v -tx1 | tr -d ' \n')
rcode=$((16#${reply:6:2} & 15))
[[ $reply =~ ^1234.*([0-9a-f]{24})c00000aa ]] || {
  echo "no synthesized address (RCODE $rcode): is the pod's address among dns64.views[].clients of the policy?"
  exit 1
}
prefix=$(printf '%s' "${BASH_REMATCH[1]}" | sed 's/..../&:/g')
echo "synthesized: DNS64 answers with the translation prefix ${prefix}:/96"
[ -n "${3:-}" ] || { echo "test.target is empty: translation is not tested"; exit 0; }
IFS=.: read -r a b c d port <<< "$3"
address=$(printf '%s%02x%02x:%02x%02x' "$prefix" "$a" "$b" "$c" "$d")
why=$(timeout 10 bash -c "exec 4<> /dev/tcp/$address/$port" 2>&1) || {
  echo "no connection to ${3%:*} port $port as $address: ${why##*: }"
  echo "does the packet reach nat64-svc, and has its node an IPv4 uplink? See 'nothing connects' in docs/operations.md"
  exit 1
}
echo "translated: a TCP connection to ${3%:*} port $port was opened as $address"
