package controlplane

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"

	"github.com/klauspost/compress/zstd"
)

var (
	errNoBackup    = errors.New("this is not a backup of Mini-Vercel")
	errBackupCut   = errors.New("the backup is not whole: it broke off while it was made, or a part of the file is missing")
	errBackupBytes = errors.New("the backup is damaged: its bytes do not match its checksum")
)

// ReadBackup reads a backup to its end and shows its rows. What it showed counts
// only where it returns no error: whether the file is whole is known at the end.
// show may be nil.
func ReadBackup(r io.Reader, show func(table string, columns []string, values []any) error) (*BackupInfo, error) {
	info, err := readBackup(r, show)
	if err != nil {
		return nil, fmt.Errorf("read the backup: %w", err)
	}
	return info, nil
}

func readBackup(r io.Reader, show func(table string, columns []string, values []any) error) (*BackupInfo, error) {
	file := bufio.NewReader(r)
	if magic, err := file.Peek(len(zstdMagic)); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	} else if string(magic) != zstdMagic {
		return nil, errNoBackup
	}
	decompressed, err := zstd.NewReader(file, zstd.WithDecoderMaxMemory(1<<30))
	if err != nil {
		return nil, err
	}
	defer decompressed.Close()
	lines := newLineReader(decompressed)
	line, err := lines.next()
	if err != nil {
		return nil, orCut(err)
	}
	info := &BackupInfo{}
	if err := json.Unmarshal(line, info); err != nil || info.Name != backupName {
		return nil, errNoBackup
	}
	if info.Version != backupVersion {
		return nil, fmt.Errorf("it has the format %d, and this version of mini-vercel knows %d: use the version that made it, or a newer one", info.Version, backupVersion)
	}
	table := backupTable{}
	for {
		before := lines.sum.Sum(nil)
		line, err := lines.next()
		if err != nil {
			return nil, orCut(err)
		}
		if line[0] == '{' {
			end := backupEnd{}
			if err := json.Unmarshal(line, &end); err != nil {
				return nil, errBackupBytes
			}
			if end.End {
				if end.SHA256 != hex.EncodeToString(before) || end.Rows != info.Rows {
					return nil, errBackupBytes
				}
				info.sum, info.mac = end.SHA256, end.MAC
				if _, err := lines.next(); !errors.Is(err, io.EOF) {
					return nil, errBackupBytes // something follows
				}
				return info, nil
			}
			table = backupTable{}
			if err := json.Unmarshal(line, &table); err != nil || table.Table == "" {
				return nil, errBackupBytes
			}
			continue
		}
		values, err := backupValues(line)
		if err != nil || len(values) != len(table.Columns) || table.Table == "" {
			return nil, errBackupBytes
		}
		info.Rows++
		if show != nil {
			if err := show(table.Table, table.Columns, values); err != nil {
				return nil, err
			}
		}
	}
}

// backupValues reads a row: text, whole numbers and null.
func backupValues(line []byte) ([]any, error) {
	decoder := json.NewDecoder(bytes.NewReader(line))
	decoder.UseNumber()
	var values []any
	if err := decoder.Decode(&values); err != nil {
		return nil, err
	}
	for i, v := range values {
		switch v := v.(type) {
		case nil, string:
		case json.Number:
			n, err := v.Int64()
			if err != nil {
				return nil, err
			}
			values[i] = n
		default:
			return nil, errBackupBytes
		}
	}
	return values, nil
}

// zstdMagic is what a zstd frame begins with, RFC 8878 section 3.1.1.
const zstdMagic = "\x28\xb5\x2f\xfd"

// orCut says what it means that there is no next line.
func orCut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errBackupCut
	}
	if failed := (*fs.PathError)(nil); errors.As(err, &failed) {
		return err
	}
	return errBackupBytes
}

// lineReader reads lines and sums them up.
type lineReader struct {
	scan *bufio.Scanner
	sum  hash.Hash
}

func newLineReader(r io.Reader) *lineReader {
	l := &lineReader{scan: bufio.NewScanner(r), sum: sha256.New()}
	l.scan.Buffer(make([]byte, 64<<10), backupLine)
	return l
}

// next returns a line, which has a byte at least; io.EOF behind the last.
func (l *lineReader) next() ([]byte, error) {
	if !l.scan.Scan() {
		if err := l.scan.Err(); err != nil {
			return nil, err
		}
		return nil, io.EOF
	}
	line := l.scan.Bytes()
	l.sum.Write(line)
	l.sum.Write([]byte("\n"))
	if len(line) == 0 {
		return nil, errBackupBytes
	}
	return line, nil
}
