# shellcheck shell=bash
# Asks HOST PORT over TCP for the AAAA of ipv4only.arpa (RFC 7050): only DNS64 gives one, with 192.0.0.170 inside.
# Plain bash and coreutils, so that it runs in the image of DNS64 itself.
set -u
exec 3<> "/dev/tcp/$1/$2" || { echo "cannot connect to $1 port $2: are the pods of dns64 ready?"; exit 1; }
printf '\x00\x1f\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x08ipv4only\x04arpa\x00\x00\x1c\x00\x01' >&3
read -r high low < <(timeout 10 head -c 2 <&3 | od -An -tu1)
length=$((${high:-0} * 256 + ${low:-0}))
[ "$length" -gt 12 ] || { echo "no answer from $1 within 10 s"; exit 1; }
reply=$(timeout 10 head -c "$length" <&3 | od -An -v -tx1 | tr -d ' \n')
rcode=$((16#${reply:6:2} & 15))
case "$reply" in
  1234*c00000aa*) echo "synthesized: DNS64 answers with a translation prefix" ;;
  *) echo "no synthesized address (RCODE $rcode): is the pod's address among dns64.views[].clients of the policy?"; exit 1 ;;
esac
