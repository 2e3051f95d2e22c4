#!/bin/sh
# Makes the certificates of the tests anew: a CA, a server, a client with the name partner.example, and a stranger (another CA).
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
days=36500

authority() { # name, common name
  openssl ecparam -name prime256v1 -genkey -noout -out "$work/$1-key.pem"
  openssl req -x509 -new -key "$work/$1-key.pem" -sha256 -days $days -subj "/CN=$2" -out "$work/$1-cert.pem" \
    -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign,cRLSign"
}

issue() { # name, common name, alternative names, authority
  openssl ecparam -name prime256v1 -genkey -noout -out "$work/$1-key.ec.pem"
  openssl pkcs8 -topk8 -nocrypt -in "$work/$1-key.ec.pem" -out "$1-key.pem"
  openssl req -new -key "$1-key.pem" -subj "/CN=$2" -out "$work/$1.csr"
  printf 'subjectAltName=%s\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth,clientAuth\n' "$3" > "$work/$1.ext"
  openssl x509 -req -in "$work/$1.csr" -CA "$work/$4-cert.pem" -CAkey "$work/$4-key.pem" -CAcreateserial -sha256 \
    -days $days -extfile "$work/$1.ext" -out "$1-cert.pem"
}

authority ca "altpath test CA"
authority other "another test CA"
cp "$work/ca-cert.pem" ca-cert.pem
issue server example.com "DNS:example.com,DNS:localhost,IP:127.0.0.1,IP:127.0.0.2,IP:::1" ca
issue client partner.example "DNS:partner.example" ca
issue stranger example.com "DNS:example.com,DNS:localhost,IP:127.0.0.1,IP:127.0.0.2,IP:::1" other
