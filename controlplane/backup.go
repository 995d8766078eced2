package controlplane

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/klauspost/compress/zstd"
)

// A backup is a zstd stream of lines of JSON:
//
//	{"backup":"mini-vercel","version":1,"schema":11,"madeAt":"…","key":"…"}
//	{"table":"projects","columns":["id",…]}
//	["…",1,…]                               one line a row
//	{"end":true,"rows":812,"sha256":"…","mac":"…"}    of every byte before this line
//
// The sum shows what was damaged; the mac, under the master key, what was changed
// by somebody: a backup lies where others may write, and says who is an
// administrator.
//
// It holds one state of the database without what passes: sessions, leases,
// one-use codes. Secrets in it stay encrypted with the master key, which is not
// in it. Logs and files are not in it either.
const (
	backupName    = "mini-vercel"
	backupVersion = 1
	// backupLine is the longest line that is read back: a row with the warnings of
	// a deployment of 100,000 files.
	backupLine = 64 << 20
)

// BackupInfo describes a backup.
type BackupInfo struct {
	Name    string    `json:"backup"`
	Version int       `json:"version"`
	Schema  int64     `json:"schema"` // of the database
	MadeAt  time.Time `json:"madeAt"`
	Key     string    `json:"key"` // names the master key that opens its secrets; tells nothing of it

	Rows int64 `json:"-"` // known at the end

	sum, mac string // likewise
}

type backupTable struct {
	Table   string   `json:"table"`
	Columns []string `json:"columns"`
}

type backupEnd struct {
	End    bool   `json:"end"`
	Rows   int64  `json:"rows"`
	SHA256 string `json:"sha256"`
	MAC    string `json:"mac"`
}

// backupMAC is what only who has the master key can make of a sum.
func (s *Service) backupMAC(sum string) string {
	mac := hmac.New(sha256.New, DeriveKey(s.config.MasterKey, "backups"))
	mac.Write([]byte(sum))
	return hex.EncodeToString(mac.Sum(nil))
}

// backupTime bounds a backup: as long the database keeps the state that it reads.
const backupTime = time.Hour

// BeginBackup says whether an administrator may have a backup now, before the
// first byte is written; what it returns makes it, or with no writer gives up
// the turn, and must be called. There is one at a time.
func (s *Service) BeginBackup(p Principal) (func(context.Context, io.Writer) (*BackupInfo, error), error) {
	if err := allowsOperation(p); err != nil {
		return nil, err
	}
	if !s.backing.TryLock() {
		return nil, Errorf(CodeConflict, "Another backup is being made: wait until it is done.")
	}
	return func(ctx context.Context, w io.Writer) (*BackupInfo, error) {
		defer s.backing.Unlock()
		if w == nil {
			return nil, nil
		}
		ctx, cancel := context.WithTimeout(ctx, backupTime)
		defer cancel()
		return s.Backup(ctx, w)
	}, nil
}

// Backup writes a backup of the database as it is now. The platform may go on
// meanwhile. A backup that broke off lacks its last line: nobody takes it for a
// whole one.
func (s *Service) Backup(ctx context.Context, w io.Writer) (*BackupInfo, error) {
	info := &BackupInfo{Name: backupName, Version: backupVersion, MadeAt: s.now(), Key: KeyFingerprint(s.config.MasterKey)}
	compressed, err := zstd.NewWriter(w)
	if err != nil {
		return nil, fmt.Errorf("back up: %w", err)
	}
	lines := &lineWriter{w: compressed, sum: sha256.New()}
	err = s.store.View(ctx, func(tx Tx) (err error) {
		if info.Schema, err = tx.Schema(); err != nil {
			return err
		}
		if err := lines.write(info); err != nil {
			return err
		}
		for _, table := range tx.Tables() {
			if table.Passing {
				continue
			}
			begun := false
			err := tx.EachRow(table.Name, func(columns []string, values []any) error {
				if !begun {
					begun = true
					if err := lines.write(backupTable{table.Name, columns}); err != nil {
						return err
					}
				}
				info.Rows++
				return lines.write(values)
			})
			if err != nil {
				return err
			}
		}
		sum := hex.EncodeToString(lines.sum.Sum(nil))
		return lines.write(backupEnd{End: true, Rows: info.Rows, SHA256: sum, MAC: s.backupMAC(sum)})
	})
	if err != nil {
		return nil, fmt.Errorf("back up: %w", err)
	}
	if err := compressed.Close(); err != nil {
		return nil, fmt.Errorf("back up: %w", err)
	}
	if err := s.keepReport(ctx, reportBackup, info.MadeAt, info); err != nil {
		s.log.Warn("a backup was made, but it can't be noted when", "error", err)
	}
	return info, nil
}

// lineWriter writes values as lines of JSON and sums them up.
type lineWriter struct {
	w      io.Writer
	sum    hash.Hash
	buffer bytes.Buffer
}

func (l *lineWriter) write(v any) error {
	l.buffer.Reset()
	if err := json.NewEncoder(&l.buffer).Encode(v); err != nil {
		return err
	}
	l.sum.Write(l.buffer.Bytes())
	_, err := l.w.Write(l.buffer.Bytes())
	return err
}
