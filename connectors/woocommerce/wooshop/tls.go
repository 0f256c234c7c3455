package wooshop

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"
)

// StartTLS serves the shop over https at addr ("127.0.0.1:0" picks a port) with a certificate of its own making, good
// for a week of the machine's time. caPEM is what a connector's ca_file must hold. stop ends it and drops what is open.
func (s *Shop) StartTLS(addr string) (url string, caPEM []byte, stop func(), err error) {
	cert, caPEM, err := selfMade()
	if err != nil {
		return "", nil, nil, err
	}
	return start(addr, "https", s, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}, caPEM)
}

// Start serves the shop over plain http, which a connector accepts on loopback.
func (s *Shop) Start(addr string) (url string, stop func(), err error) {
	url, _, stop, err = start(addr, "http", s, nil, nil)
	return url, stop, err
}

func start(addr, scheme string, h http.Handler, c *tls.Config, caPEM []byte) (string, []byte, func(), error) {
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return "", nil, nil, fmt.Errorf("wooshop: listening: %w", err)
	}
	url := scheme + "://" + l.Addr().String()
	if c != nil {
		l = tls.NewListener(l, c)
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, ErrorLog: zap.NewStdLog(zap.NewNop())}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = srv.Serve(l) // ends with ErrServerClosed
	}()
	return url, caPEM, func() { _ = srv.Close(); <-done }, nil
}

// selfMade is a certificate that is its own authority.
func selfMade() (tls.Certificate, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, nil, fmt.Errorf("wooshop: making a key: %w", err)
	}
	now := time.Now()
	t := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "wooshop on loopback"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(7 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IsCA: true, BasicConstraintsValid: true,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, DNSNames: []string{"localhost"},
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, nil, fmt.Errorf("wooshop: making a certificate: %w", err)
	}
	caPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, caPEM, nil
}
